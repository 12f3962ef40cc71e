"""``refcodec validate``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refcodec.cli import options
from refcodec.cli.progress import progress
from refcodec.cli.terminal import PIPE, console, print_json, printable
from refcodec.errors import CallerError

if TYPE_CHECKING:
    from refcodec.cli.verdicts import Verdict

__all__ = ["validate"]


def validate(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...", help="Streams, folders of .dfc files, or patterns; - is a pipe."
        ),
    ],
    as_json: options.Json = False,
    as_lines: Annotated[
        bool, typer.Option("--json-lines", help="Print one line of JSON for each file.")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option(metavar="REPORT.xml", help="Write a report as JUnit XML.")
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print nothing but a last line REJECT.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Files to check at a time.")] = 1,
    max_level: options.MaxLevel = None,
    ffmpeg: options.Ffmpeg = None,
    timeout: options.Timeout = None,
    models: options.Models = None,
) -> None:
    """Check streams against every clause of the specification.

    All files are checked, even if one of them cannot be read. If a stream does not conform, the last line is
    REJECT and the class of the first violation.
    """
    if as_json + as_lines + quiet > 1:
        raise CallerError("--json, --json-lines and --quiet exclude each other")
    from refcodec.asked import asked_level, asked_machine
    from refcodec.cli.verdicts import as_junit, as_line, found_files, print_verdict, summary_of
    from refcodec.files import atomic_file
    from refcodec.tables import HIGHEST_LEVEL

    limits = {
        "max_level": HIGHEST_LEVEL if max_level is None else max_level,
        "ffmpeg": ffmpeg,
        "timeout": timeout,
        "models": models,
    }
    asked_level(limits["max_level"])  # once, rather than for each file
    asked_machine(ffmpeg, timeout, models)
    names = found_files(files)
    verdicts: list[Verdict] = []
    out = console()
    with (
        progress("validating", len(names), "files") as show,
        _judged(names, limits, workers) as judged,
    ):
        for verdict in judged:
            verdicts.append(verdict)
            if verdict["error"]:
                _complain(verdict["error"])
            if as_lines:
                print(as_line(verdict), flush=True)
            elif not (as_json or quiet or verdict["error"]):
                print_verdict(out, verdict)
            show(len(verdicts))
    if junit is not None:
        with atomic_file(junit) as report:
            report.write(as_junit(verdicts))
    summary, rejected = summary_of(verdicts)
    if as_json:
        print_json(verdicts)
    elif not as_lines:
        if len(names) > 1 and not quiet:
            print(summary)
        if rejected:
            print(f"REJECT {rejected[0]}")
    if rejected:
        raise typer.Exit(1)
    if not all(one["conforming"] for one in verdicts):  # a file or this machine could not tell
        raise typer.Exit(2)


@contextmanager
def _judged(names: list[str], limits: dict[str, Any], workers: int) -> Iterator[Iterator[Verdict]]:
    """Verdicts on the files, in their order."""
    from refcodec.cli.verdicts import judge

    if workers == 1 or len(names) == 1 or PIPE in names:
        yield (judge(name, limits) for name in names)
        return
    from concurrent.futures import ProcessPoolExecutor
    from itertools import repeat
    from multiprocessing import get_context

    pool = ProcessPoolExecutor(min(workers, len(names)), get_context("spawn"))
    try:
        yield pool.map(judge, names, repeat(limits))
    finally:
        pool.shutdown(cancel_futures=True)


def _complain(error: str) -> None:
    typer.secho("error: ", fg=typer.colors.RED, bold=True, nl=False, err=True)
    typer.echo(printable(error), err=True)
