"""``refcodec train``: networks whose features are compressible."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refcodec.cli.networks import require_library
from refcodec.cli.terminal import console, print_note, printable

if TYPE_CHECKING:
    from refcodec.learn.trainer import Row

__all__ = ["train"]


def train(
    plan: Annotated[
        Path, typer.Argument(metavar="CONFIG.toml", help="What to train; see the guide.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for results; by default CONFIG-results, in this folder."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder that paths are relative to; by default $REFCODEC_DATA, else CONFIG's own."
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the plan; may be repeated."),
    ] = None,
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
    results: list[dict[str, Any]] = []
    for run in found.runs():
        result = load_result(run, session.folder(run))
        if result is None:
            print_note(f"{found.title}: {run.name}")
            result = session.train(run, _show(run.name, found.training.steps))
        results.append(result)
    names = write_report(found, results, session.output)
    screen = console()
    screen.print(printable_lines(tables_of(found, results)), soft_wrap=True)
    screen.print(f"Written to {session.output}: {', '.join(names)}", soft_wrap=True)


def printable_lines(lines: Any) -> str:
    """Lines of text without control characters."""
    return "\n".join(printable(part) for line in lines for part in line.split("\n"))


def _show(name: str, steps: int) -> Any:
    """A function that prints a row of the log on standard error."""

    def show(row: Row, left: float) -> None:
        minutes, seconds = divmod(round(left), 60)
        typer.echo(
            f"{name}  step {row.step}/{steps}  loss {row.loss:.4f}  bits {row.bits:.2f}  "
            f"error {row.error:.4f}  {minutes}:{seconds:02} left",
            err=True,
        )

    return show
