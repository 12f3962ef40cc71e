"""The figures of a client or server on the terminal, as they change."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from refcodec.splitting.stats import Stats

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["live", "table_of"]

_A_SECOND = 4
"""Pictures a second."""


@contextmanager
def live(stats: Stats, title: str) -> Iterator[None]:
    """Show figures on standard error while the block runs, if that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.live import Live

    screen = Console(stderr=True)
    with Live(
        console=screen,
        refresh_per_second=_A_SECOND,
        get_renderable=lambda: table_of(stats, title),
    ):
        yield


def table_of(stats: Stats, title: str) -> Table:
    """Counts, and milliseconds of each stage: the mean of recent requests, and what 95 % stay within."""
    from rich.table import Table

    counts = {"requests": stats.requests, "images": stats.images, "failed": stats.failed}
    words = [f"{name} {number:,}" for name, number in counts.items()]
    if stats.requests:
        words.append(f"bytes an image {stats.bytes_sent / stats.images:,.0f} out")
        words.append(f"{stats.bytes_received / stats.images:,.0f} in")
    if stats.qp is not None:
        words.append(f"QP {stats.qp:g}")
    found = Table(title=f"{title}: {', '.join(words)}", title_justify="left")
    found.add_column("ms")
    for name in stats.ms:
        found.add_column(name, justify="right")
    for label, row in (("mean", stats.ms), ("95 %", stats.percentile(95))):
        if row:
            found.add_row(label, *(f"{value:.1f}" for value in row.values()))
    return found
