"""Parallel map over features, in order, with a bounded number of results in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["elements_of", "in_parallel"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4
"""Most tasks per thread that are begun ahead of the one to be yielded."""

_TASK = 1 << 14
"""Elements of the items of a task, at least: less work than that is not worth handing over."""


def in_parallel(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    elements: int = _TASK,
) -> Iterator[Result]:
    """Map a function over items by threads, and yield the results in order; kernels release the GIL.

    elements : of each item; small ones are handed over several at a time.
    """
    size = max(1, _TASK // elements)
    tasks = [items[start : start + size] for start in range(0, len(items), size)]
    if workers < 2 or len(tasks) < 2:
        yield from map(function, items)
        return

    def run(task: Sequence[Item]) -> list[Result]:
        return [function(item) for item in task]

    with ThreadPoolExecutor(min(workers, len(tasks))) as pool:
        waiting: deque[Future[list[Result]]] = deque()
        for task in tasks:
            waiting.append(pool.submit(run, task))
            if len(waiting) > _AHEAD * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def elements_of(fps: FeatureParameterSet) -> int:
    """Number of elements of a feature, for `in_parallel`."""
    return fps.channels * fps.height * fps.width
