"""``refcodec train``: networks whose features are compressible."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refcodec.checked import read_toml
from refcodec.cli import options
from refcodec.cli.networks import require_library
from refcodec.cli.terminal import console, printable

if TYPE_CHECKING:
    from refcodec.images.training import Phase, PhaseRow
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
    """Train a network so that its features compress, or an image codec, and measure sizes and errors.

    A plan with a [codec] is that of an image codec and of a classifier that reads its latents. Continues an
    interrupted run from its checkpoint, and repeats no run that has ended.
    """
    for library in ("matplotlib", "torch"):
        require_library(library, "trainings")
    import torch

    from refcodec.learn.reading import read
    from refcodec.learn.report import tables_of, write_report
    from refcodec.learn.run import Session, load_result

    if threads is not None:
        torch.set_num_threads(threads)
    if "codec" in read_toml(plan, changes=changes or ())[0]:
        _train_images(plan, output, data, changes or ())
        return
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


def _train_images(
    plan: Path, output: Path | None, data: Path | None, changes: Iterable[str]
) -> None:
    """Train image codecs and classifiers of their latents."""
    from refcodec.images.plan import read_images_plan
    from refcodec.images.report import tables_of, write_report
    from refcodec.images.run import ImageSession

    found = read_images_plan(plan, data=data, changes=changes)
    session = ImageSession(found, output or Path(f"{plan.stem}-results"))
    results = session.run(_show_phase)
    names = write_report(found, results, session.output)
    screen = console()
    screen.print(_printable_lines(tables_of(found, results)), soft_wrap=True)
    screen.print(f"Written to {session.output}: {', '.join(names)}", soft_wrap=True)


def _show_phase(name: str, phase: Phase, row: PhaseRow) -> None:
    """Print a row of the log of a phase on standard error."""
    typer.echo(
        f"{name}  {phase.name}  step {row.step}/{phase.steps}  bits a pixel {row.bits:.3f}  "
        f"PSNR {row.psnr:.2f} dB  loss {row.loss:.3f}  error {row.error:.3f}",
        err=True,
    )


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
