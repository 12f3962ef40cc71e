"""Work in groups that leaves no trace in the order of its results."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

__all__ = ["in_windows", "together"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def together(
    items: Iterable[Item],
    key: Callable[[Item], Hashable],
    work: Callable[[Sequence[Item]], Iterable[Result]],
) -> Iterator[Result]:
    """Work on the items of each key together; yield the results in the order of the items.

    work : is given all items of one key, in their order, and gives one result for each.
    """
    items = list(items)
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    results = {name: iter(work(group)) for name, group in groups.items()}
    for item in items:
        yield next(results[key(item)])


def in_windows(
    items: Iterable[Item], cost: Callable[[Item], int], largest: int, most: int
) -> Iterator[list[Item]]:
    """Split items into windows of at most ``most`` items whose costs add up to at most ``largest``.

    An item that costs more has a window of its own. Where ``items`` ends by raising an error, the window
    gathered so far is yielded before the error is raised.
    """
    window: list[Item] = []
    total = 0
    try:
        for item in items:
            own = cost(item)
            if window and (total + own > largest or len(window) == most):
                yield window
                window, total = [], 0
            window.append(item)
            total += own
    except Exception:
        if window:
            yield window
        raise
    if window:
        yield window
