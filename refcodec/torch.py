"""Data sets of torch whose samples are features in DFC files.

    features = FeatureDataset(["a.dfc", "b.dfc"])                  # by number, for samplers
    DataLoader(features, batch_size=64, shuffle=True, num_workers=4)

    features = FeatureStream(paths, shuffle=True)                  # in ranges, for files beyond memory
    DataLoader(features, batch_size=64, num_workers=4)

Samples are tensors. Each worker, forked or spawned, opens files for itself.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from refcodec.errors import CallerError
from refcodec.numbers import numbers_of
from refcodec.reader import Reader

__all__ = ["FeatureDataset", "FeatureStream"]

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

_MOST_OPEN = 64
"""Files that a process keeps open at a time."""


class FeatureDataset(Dataset):
    """The features of one file, or of several one after the other, by number.

    len(d), d[17] (a tensor), d[[3, 1]] and d[2:5] (lists of tensors). A loader asks for the features of a
    batch at once; they are read in the order of the files, and come in the order that was asked for.

    paths   : one path, or several. Their indices are read now, and their features when they are asked for.
    options : as `refcodec.open` takes them, such as ``max_level`` or ``models``.

    Raises CallerError, StreamError.
    """

    def __init__(self, paths: Paths, **options: Any) -> None:
        self._files = _Files(paths, options)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, key: Any) -> Any:
        numbers = numbers_of(key, len(self))
        if isinstance(numbers, int):
            return self._files.read([numbers])[0]
        return self._files.read(numbers)

    def __getitems__(self, numbers: Sequence[int]) -> list[Any]:
        """Features by their numbers: what a loader asks for a batch."""
        found: list[Any] = self[list(numbers)]
        return found


class FeatureStream(IterableDataset):
    """The features of files in ranges, each read in one go and by one worker.

    Ranges are dealt out to all workers of all ranks; together they give each feature once. Batches of a
    loader come from a worker each, so that the last one of every worker may be short.

    paths   : one path, or several.
    shuffle : give the ranges, and the features within each, in random order: another one in each epoch.
    length  : features of a range; the longer, the better the mix, and the more memory a worker takes.
    seed    : of the order, together with the epoch; the same in all ranks.
    rank    : which of ``ranks`` processes of a distributed training this one is; it gets its share alone.
    options : as `refcodec.open` takes them.

    Raises CallerError, StreamError.
    """

    def __init__(
        self,
        paths: Paths,
        *,
        shuffle: bool = False,
        length: int = 256,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
        **options: Any,
    ) -> None:
        if length < 1:
            raise CallerError(f"length is {length}; it is 1 or more")
        if not 0 <= rank < ranks:
            raise CallerError(f"rank is {rank}; it is 0 to {ranks - 1}, of {ranks}")
        self._files = _Files(paths, options)
        self._shuffle, self._length, self._seed = shuffle, length, seed
        self._rank, self._ranks = rank, ranks
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # workers see it change

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch, before its iteration begins; workers that stay take note."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[Any]:
        """Features of this worker's share, one after the other."""
        epoch = int(self._epoch)
        starts = np.arange(0, len(self._files), self._length)
        if self._shuffle:
            starts = np.random.default_rng([self._seed, epoch]).permutation(starts)
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        for start in starts[self._rank :: self._ranks][worker::workers].tolist():
            numbers = np.arange(start, min(start + self._length, len(self._files)))
            if self._shuffle:
                numbers = np.random.default_rng([self._seed, epoch, start]).permutation(numbers)
            yield from self._files.read(numbers.tolist())


class _Files:
    """Features of several files, numbered through; every process opens files for itself."""

    def __init__(self, paths: Paths, options: dict[str, Any]) -> None:
        given = [paths] if isinstance(paths, (str, os.PathLike)) else paths
        try:
            self._paths = [Path(one).absolute() for one in given]
        except TypeError:
            raise CallerError(
                f"a {type(paths).__name__} is no path of a file, and no list of paths",
                hint="streams in memory are written to files first: every worker opens them",
            ) from None
        if not self._paths:
            raise CallerError("there are no files", hint="is the pattern right?")
        self._options = {**options, "like": "torch"}
        self._readers: OrderedDict[int, Reader] = OrderedDict()
        self._process = os.getpid()
        self._counts: list[int] = []
        for number in range(len(self._paths)):
            self._counts.append(len(self._reader(number)))
        self._first = [0, *accumulate(self._counts)]
        self._close()

    def __len__(self) -> int:
        return self._first[-1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_readers": OrderedDict()}

    def read(self, numbers: Sequence[int]) -> list[Any]:
        """Features by their numbers, in the order given; read in the order of the files."""
        order = sorted(range(len(numbers)), key=numbers.__getitem__)
        found: list[Any] = [None] * len(numbers)
        for file, group in groupby(order, lambda one: bisect_right(self._first, numbers[one]) - 1):
            places = list(group)
            wanted = [numbers[place] - self._first[file] for place in places]
            for place, feature in zip(places, self._reader(file)[wanted], strict=True):
                found[place] = feature
        return found

    def _reader(self, number: int) -> Reader:
        """The reader of a file, opened by this process. Raises CallerError where the file has changed."""
        if (
            self._process != os.getpid()
        ):  # the readers are of the process that this one was forked from
            self._close()
            self._process = os.getpid()
        reader = self._readers.pop(number, None)
        if reader is None:
            reader = Reader(self._paths[number], **self._options)
        self._readers[number] = reader
        if number < len(self._counts) and len(reader) != self._counts[number]:
            raise CallerError(
                f"{self._paths[number]} has {len(reader)} features, and had {self._counts[number]}",
                hint="make the data set again",
            )
        if len(self._readers) > _MOST_OPEN:
            self._readers.popitem(last=False)[1].close()
        return reader

    def _close(self) -> None:
        while self._readers:
            self._readers.popitem()[1].close()

    def __del__(self) -> None:
        if hasattr(self, "_readers"):
            self._close()
