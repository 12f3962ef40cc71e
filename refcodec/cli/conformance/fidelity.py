"""``refcodec conformance fidelity``: checks the numbers of an evaluation."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refcodec.cli import options
from refcodec.cli.conformance.options import Suite

if TYPE_CHECKING:
    from refcodec.suite.fidelity import Found, Numbers

__all__ = ["fidelity"]


def fidelity(
    results: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RESULTS]",
            help="JSON file of values by id of the vector; if absent, what is expected is printed.",
            show_default=False,
        ),
    ] = None,
    suite: Suite = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Do not fail because of values that are absent.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Check metrics, and decisions of the demonstration network, against the expected ones.

    Exit status 0: all values agree; 1: some differ, or are absent.
    """
    from refcodec.cli.terminal import console, print_json, printable
    from refcodec.suite.fidelity import compare, load_fidelity, read_results

    vectors = load_fidelity(suite)
    found = compare(vectors, read_results(results, vectors) if results else {})
    if as_json:
        print_json(_as_json(found, judged=results is not None))
    else:
        out = console()
        out.print(_table(found, judged=results is not None))
        if results is not None:
            out.print(f"{printable(str(results))}: {_summary(found)}", soft_wrap=True)
    allowed = {"pass", "absent"} if partial else {"pass"}
    if results is not None and not {one.status for one in found} <= allowed:
        raise typer.Exit(1)


def _table(found: list[Found], judged: bool):  # type: ignore[no-untyped-def]  # a table of rich
    from rich.table import Table
    from rich.text import Text

    columns = ("found", "verdict") if judged else ("tolerance", "source")
    table = Table("id", "vector", "value", "expected", *columns, box=None, pad_edge=False)
    style = {"pass": "green", "fail": "bold red", "absent": "yellow"}
    for one in found:
        name = "" if one.expected.name == "value" else one.expected.name
        row = [one.vector.id, one.vector.name, name or one.vector.metric, _text(one.expected.value)]
        if judged:
            value = "" if one.value is None else _text(one.value)
            table.add_row(*row, value, Text(one.status, style[one.status]))
        else:
            table.add_row(*row, f"{one.expected.tolerance:g}", one.vector.source)
    return table


def _text(value: Numbers) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else f"{value:.12g}"


def _summary(found: list[Found]) -> str:
    counts = Counter(one.status for one in found)
    text = f"{counts['pass']} of {len(found)} values agree"
    others = [f"{counts[kind]} {kind}" for kind in ("fail", "absent") if counts[kind]]
    return ", ".join([text, *others])


def _as_json(found: list[Found], judged: bool) -> list[dict[str, object]]:
    entries = []
    for one in found:
        entry: dict[str, object] = {
            "id": one.vector.id,
            "name": one.vector.name,
            "metric": one.vector.metric,
            "source": one.vector.source,
            "value": one.expected.name,
            "expected": one.expected.value,
            "tolerance": one.expected.tolerance,
        }
        if judged:
            entry |= {"found": one.value, "status": one.status}
        entries.append(entry)
    return entries
