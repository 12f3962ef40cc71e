"""Video-level features of YouTube-8M, from the TFRecord files that its site gives."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from refcodec.errors import CallerError
from refcodec.learn.tfrecord import find_records, parse_example, read_record
from refcodec.models.video import CLASSES

__all__ = ["VideoRecords"]

_PARTS: Final = ("mean_rgb", "mean_audio")


class VideoRecords:
    """Videos in the ``.tfrecord`` files of a folder.

    A record has ``mean_rgb`` (1024 values) and ``mean_audio`` (128), and ``labels``, the numbers of its
    classes. It is read when it is asked for; only its place is kept.

    folder  : of the files.
    count   : number of videos to take; None for all.
    classes : number of classes; None for 3862.

    Raises CallerError for files that are damaged, and records of another kind.
    """

    classes: tuple[str, ...] = ()

    def __init__(self, folder: Path, *, count: int | None = None, classes: int | None = None):
        self._files = sorted(folder.glob("*.tfrecord"))
        places: list[tuple[int, int, int]] = []
        for number, file in enumerate(self._files):
            places.extend((number, *found) for found in find_records(file))
            if count is not None and len(places) >= count:
                break
        self._places = np.array(places[:count], np.int64).reshape(-1, 3)
        if not len(self._places) or (count or 0) > len(self._places):
            raise CallerError(f"{folder} holds {len(places)} records; {count or 1} are asked for")
        self._classes = classes or CLASSES
        self.shape: tuple[int, ...] = (len(self._read(0)[0]),)

    def __len__(self) -> int:
        return len(self._places)

    def batch(
        self, indices: npt.NDArray[np.int64], rng: np.random.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs N x 1152, and targets N x classes, 0 or 1; videos are not augmented."""
        inputs, labels = zip(*(self._read(int(index)) for index in indices), strict=True)
        if {len(one) for one in inputs} != {self.shape[0]}:
            raise CallerError("the records have features of different lengths")
        targets = torch.zeros(len(indices), self._classes)
        for row, own in enumerate(labels):
            targets[row, torch.from_numpy(own)] = 1
        return torch.from_numpy(np.stack(inputs)), targets

    def _read(self, index: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        number, place, length = map(int, self._places[index])
        file = self._files[number]
        example = parse_example(read_record(file, place, length))
        parts = [example[name] for name in _PARTS if name in example]
        labels = example.get("labels")
        floats = [one for one in parts if isinstance(one, np.ndarray) and one.dtype == np.float32]
        whole = (isinstance(labels, np.ndarray) and labels.dtype == np.int64) or labels == []
        if not floats or len(floats) < len(parts) or not whole:
            raise CallerError(
                f"{file} has a record without {_PARTS[0]} and labels; it has {', '.join(example)}",
                hint="take the video-level features of YouTube-8M",
            )
        numbers = np.asarray(labels, np.int64)
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < self._classes:
            raise CallerError(
                f"{file} has a record of class {numbers.max()}; there are {self._classes}",
                hint="set the number of classes",
            )
        return np.concatenate(floats), numbers
