"""A progress bar for work that takes longer than a second."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer

__all__ = ["progress"]

_PATIENCE = 1.0
"""Seconds until the bar is shown."""


@contextmanager
def progress(
    what: str, total: int | None, unit: str = "features"
) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error while the block runs, if that is a terminal.

    what  : name of the work, ``encoding``.
    total : number of items; None if unknown.

    Yields a function to call with the number done so far.
    """
    if not sys.stderr.isatty():
        yield lambda done: None
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


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
