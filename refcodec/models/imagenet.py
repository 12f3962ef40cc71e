"""The 1,000 classes of ImageNet (ILSVRC 2012), by their WordNet ids: ``n01440764`` is class 0."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["ids", "labels_by_name"]

_FILE: Final = Path(__file__).with_name("imagenet.txt")
_LENGTH: Final = len("n01440764")


@cache
def ids() -> tuple[str, ...]:
    """The ids in the order of their classes, which is ascending."""
    return tuple(_FILE.read_text(encoding="utf-8").split())


def labels_by_name(names: Iterable[str]) -> list[int] | None:
    """Classes of files that are named after them, as n01440764_tench.JPEG is; None unless all of them are."""
    numbers = {one: number for number, one in enumerate(ids())}
    found = [numbers.get(name[:_LENGTH]) for name in names]
    known = [one for one in found if one is not None]
    return known if len(known) == len(found) else None
