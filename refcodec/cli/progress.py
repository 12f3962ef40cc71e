"""Progress of work that takes long: a bar on a terminal, a line now and then anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread, Timer
from time import monotonic

__all__ = ["progress"]

_PATIENCE = 1.0
"""Seconds until the bar is shown."""

_PAUSE = 20.0
"""Seconds between lines, and until the first one, where standard error is no terminal."""


@contextmanager
def progress(
    what: str, total: int | None, unit: str = "features"
) -> Iterator[Callable[[int], None]]:
    """Show on standard error how far a block has come: a bar on a terminal, else a line every 20 seconds.

    what  : name of the work, ``encoding``.
    total : number of items; None if unknown.

    Yields a function to call with the number done so far.
    """
    if not sys.stderr.isatty():
        with _lines(what, total, unit) as show:
            yield show
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.text import Text

    class Count(ProgressColumn):
        def render(self, task: Task) -> Text:
            whole = "" if task.total is None else f"/{task.total:,.0f}"
            return Text(f"{task.completed:,.0f}{whole} {unit}", style="progress.download")

    class Pace(ProgressColumn):
        """Rate and remaining time, from the mean so far, as work is done in bursts."""

        def render(self, task: Task) -> Text:
            if not task.completed or not task.elapsed:
                return Text("")
            rate = task.completed / task.elapsed
            left = "" if task.remaining is None else f", {_duration(task.remaining / rate)} left"
            return Text(f"{rate:,.1f}/s{left}", style="progress.remaining")

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        Count(),
        Pace(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(what, total=total)
    timer = Timer(_PATIENCE, bar.start)  # the bar appears even if the first step takes long
    timer.daemon = True
    timer.start()
    try:
        yield lambda done: bar.update(task, completed=done)
    finally:
        timer.cancel()
        timer.join()
        bar.stop()


@contextmanager
def _lines(what: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    """Print lines such as ``encoding: 8/50 features, 1:20 so far``, also while an item takes long."""
    began, over = monotonic(), Event()
    done = 0

    def show(number: int) -> None:
        nonlocal done
        done = number

    def tell() -> None:
        while not over.wait(_PAUSE):
            whole = "" if total is None else f"/{total:,}"
            spent = _duration(monotonic() - began)
            print(f"{what}: {done:,}{whole} {unit}, {spent} so far", file=sys.stderr, flush=True)

    teller = Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield show
    finally:
        over.set()
        teller.join()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
