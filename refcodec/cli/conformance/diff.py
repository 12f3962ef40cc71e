"""``refcodec conformance diff``: a run beside an earlier one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refcodec.cli import options

if TYPE_CHECKING:
    from rich.console import Console

    from refcodec.suite.report.comparison import Change, Comparison, Entry

__all__ = ["diff"]


def diff(
    before: Annotated[
        Path, typer.Argument(metavar="BEFORE", help="Report of the earlier run, or a claim.")
    ],
    after: Annotated[
        Path, typer.Argument(metavar="AFTER", help="Report of the later run, or a claim.")
    ],
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Vectors that were not run again are no regressions."),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Compare two runs by their reports of --json: what changed, and whether anything got worse.

    Exit status 0: no regression; 1: a vector that passed fails, is skipped, or was not run again.
    """
    from refcodec.cli.terminal import console, print_json
    from refcodec.suite.report.comparison import Comparison, read_report

    found = Comparison(read_report(before), read_report(after))
    if as_json:
        print_json(found.as_json() | {"regressed": found.regressed(partial=partial)})
    else:
        _print_comparison(console(), found, partial)
    raise typer.Exit(1 if found.regressed(partial=partial) else 0)


_STYLES = {
    "regression": "bold red",
    "lost": "red",
    "known": "yellow",
    "fixed": "green",
    "new": "",
    "other": "",
}


def _print_comparison(out: Console, found: Comparison, partial: bool) -> None:
    from rich.table import Table

    from refcodec.cli.terminal import printable
    from refcodec.suite.run.results import STATUSES

    changes = found.changes
    for change in changes:
        out.print(f"{change.kind}: ", style=_STYLES[change.kind], end="", soft_wrap=True)
        out.print(_told(change), soft_wrap=True)
    for old, new in found.slower:
        out.print("slower: ", style="yellow", end="", soft_wrap=True)
        out.print(
            f"{printable(new.id)} {printable(new.name)}: {old.seconds:.3f} s, then "
            f"{new.seconds:.3f} s",
            soft_wrap=True,
        )
    table = Table("run", *STATUSES, "seconds", "suite", box=None, pad_edge=False)
    for name, report in (("before", found.before), ("after", found.after)):
        counts = [str(report.counts[status]) for status in STATUSES]
        version, sha256 = report.suite
        table.add_row(
            f"{name}: {printable(report.decoder)}",
            *counts,
            f"{report.seconds:.1f}",
            f"{printable(version)}, {printable(sha256[:12])}",
        )
    out.print(table)
    if found.before.suite != found.after.suite:
        out.print("the suites are not the same", style="yellow")
    kinds = {kind: sum(change.kind == kind for change in changes) for kind in _STYLES}
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    verdict = "worse" if found.regressed(partial=partial) else "no regression"
    out.print(f"{verdict}: {told or 'nothing changed'}", style="bold")


def _told(change: Change) -> str:
    from refcodec.cli.terminal import printable

    entry = change.entry
    states = f"{_state(change.before)}, then {_state(change.after)}"
    return printable(f"{entry.id} {entry.name}: {states}")


def _state(entry: Entry | None) -> str:
    if entry is None:
        return "not run"
    return f"{entry.status} ({entry.reason})" if entry.reason else entry.status
