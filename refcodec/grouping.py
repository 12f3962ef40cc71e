"""Processing of items in groups, with the results in the order of the items."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

__all__ = ["by_key", "in_order"]

Item = TypeVar("Item")
Result = TypeVar("Result")
Key = TypeVar("Key", bound=Hashable)


def by_key(items: Sequence[Item], keys: Sequence[Key]) -> dict[Key, list[Item]]:
    """Group items by key, in their order within each group."""
    groups: dict[Key, list[Item]] = {}
    for item, key in zip(items, keys, strict=True):
        groups.setdefault(key, []).append(item)
    return groups


def in_order(results: Mapping[Key, Iterable[Result]], keys: Sequence[Key]) -> Iterator[Result]:
    """Merge the results of the groups of `by_key`, one per item, into the order of the items."""
    rest = {key: iter(own) for key, own in results.items()}
    for key in keys:
        yield next(rest[key])
