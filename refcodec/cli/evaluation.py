"""``refcodec evaluate``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from refcodec.cli import options
from refcodec.cli.networks import require_library
from refcodec.cli.progress import progress
from refcodec.cli.terminal import console, print_note, printable

__all__ = ["evaluate"]


def evaluate(
    experiment: Annotated[
        Path, typer.Argument(metavar="CONFIG.toml", help="What to measure; see the guide.")
    ],
    output: options.Results = None,
    data: options.DataFolder = None,
    changes: options.Changes = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN", help="Jobs to run: 'resnet56/*', '*/layer1/native'; may be repeated."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes at a time.")] = 1,
    keep_old: Annotated[
        bool, typer.Option("--keep-old", help="Keep results that other code of refcodec made.")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Print the jobs to run, and end.")] = False,
) -> None:
    """Measure networks x layers x coders x rates, and make tables and plots.

    Continues an interrupted run, and repeats only what has changed.
    """
    for library in ("bjontegaard", "matplotlib", "torch"):
        require_library(library, "evaluations")
    from refcodec.evaluate.plan import jobs_of, select
    from refcodec.evaluate.reading import read
    from refcodec.evaluate.report import write_report
    from refcodec.evaluate.results import load_row
    from refcodec.evaluate.run import Folders, missing, run

    found = read(experiment, data=data, changes=changes or ())
    jobs = jobs_of(found)
    folders = Folders(output or Path(f"{experiment.stem}-results"))
    chosen = select(jobs, only) if only else jobs
    ahead = missing(chosen, folders, keep_old=keep_old)
    print_note(f"{found.title}: {len(chosen)} jobs, {len(chosen) - len(ahead)} of them done")
    if plan:
        for job in ahead:
            typer.echo(printable(job.name))
        return
    with progress("measuring", len(ahead), "jobs") as show:
        failures = run(ahead, folders, workers=workers, progress=show)
    stale = {job.name for job in missing(jobs, folders, keep_old=keep_old)}
    rows = [load_row(job, folders) for job in jobs if job.name not in stale]
    if rows:
        screen = console()
        names = write_report(found, rows, folders, _command(), screen)
        screen.print(f"Written to {folders.output}: {', '.join(names)}", soft_wrap=True)
    for failure in failures:
        typer.secho("failed: ", fg=typer.colors.RED, bold=True, nl=False, err=True)
        typer.echo(f"{printable(failure.name)}: {printable(failure.reason)}", err=True)
        typer.echo(failure.trace, err=True, nl=False)
    if failures:
        raise typer.Exit(1)


def _command() -> str:
    return shlex.join(["refcodec", *sys.argv[1:]])
