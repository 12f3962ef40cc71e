"""``refcodec train``: networks whose features are compressible."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refcodec.cli import options
from refcodec.cli.networks import require_library
from refcodec.cli.terminal import console, printable

if TYPE_CHECKING:
    from refcodec.learn.plan import Run
    from refcodec.learn.trainer import Row

__all__ = ["train"]


def train(
    plan: Annotated[
        Path, typer.Argument(metavar="CONFIG.toml", help="What to train; see the guide.")
    ],
    output: options.Results = None,
    data: options.DataFolder = None,
    changes: options.Changes = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of torch; by default its own choice.")
    ] = None,
) -> None:
    """Train a network so that its features compress, and measure sizes and errors.

    Continues an interrupted run from its checkpoint, and repeats no run that has ended.
    """
    for library in ("matplotlib", "torch"):
        require_library(library, "trainings")
    import torch

    from refcodec.learn.reading import read
    from refcodec.learn.report import tables_of, write_report
    from refcodec.learn.run import Session, load_result

    if threads is not None:
        torch.set_num_threads(threads)
    found = read(plan, data=data, changes=changes or ())
    session = Session(found, output or Path(f"{plan.stem}-results"))
    session.begin(_show)
    found = session.plan
    results: list[dict[str, Any]] = []
    for run in found.runs():
        result = load_result(run, session.folder(run)) or session.train(run, _show)
        results.append(result)
    names = write_report(found, results, session.output)
    screen = console()
    screen.print(_printable_lines(tables_of(found, results)), soft_wrap=True)
    screen.print(f"Written to {session.output}: {', '.join(names)}", soft_wrap=True)


def _printable_lines(lines: Any) -> str:
    """Lines of text without control characters."""
    return "\n".join(printable(part) for line in lines for part in line.split("\n"))


def _show(run: Run, row: Row, left: float) -> None:
    """Print a row of the log on standard error."""
    minutes, seconds = divmod(round(left), 60)
    typer.echo(
        f"{run.name}  step {row.step}/{run.plan.training.steps}  loss {row.loss:.4f}  "
        f"bits {row.bits:.2f}  error {row.error:.4f}  {minutes}:{seconds:02} left",
        err=True,
    )
