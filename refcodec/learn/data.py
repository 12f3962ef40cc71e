"""Data to train and measure on: images, arrays, records of videos; each a batch at a time.

======================================= =========================================================
source                                  content
======================================= =========================================================
a folder of folders of images           a class for each folder
``.txt``                                images that it lists, a path a line; likewise
a folder of ``.tfrecord`` files         video-level features of YouTube-8M, with their classes
``.npz`` with ``jpeg``                  an archive of JPEGs, as of `refcodec.models.images`
``.npz`` with ``inputs`` and ``targets`` arrays: N x ... float32, and N classes or N x K values
``.bin``                                CIFAR-10 or CIFAR-100, the binary version; fine labels
======================================= =========================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import torch

from refcodec.errors import CallerError
from refcodec.files import storage_error
from refcodec.learn.records import VideoRecords
from refcodec.models.images import Source, normalise, open_images

__all__ = ["Arrays", "Augmentation", "Data", "Images", "open_data"]

Pixels = npt.NDArray[np.uint8]
Batch = tuple[torch.Tensor, torch.Tensor]

_KEPT: Final = 1 << 30
"""Most bytes of decoded images that are kept in memory."""

_SIDE: Final = 32
"""Height and width of the images of CIFAR."""


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training images.

    flip : flip half of them left to right.
    pad  : pixels of zeros (of the normalised image) on all sides, before a random crop of the old size.
    """

    flip: bool = False
    pad: int = 0


class Data(Protocol):
    """Inputs with targets, in an order of their own."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; () where there are none, or they have no names."""

    def __len__(self) -> int: ...

    def batch(self, indices: npt.NDArray[np.int64], rng: np.random.Generator | None) -> Batch:
        """Inputs N x shape, float32, and targets.

        rng : of the augmentation; None for none.
        """


class Images:
    """Images of a source, kept in memory once decoded if they are small enough together.

    source : see `refcodec.models.images.open_images`.
    size   : height and width of an input. A source of larger images is cropped: at random with a generator,
             else at the centre.
    """

    def __init__(self, source: Source, size: tuple[int, int], augment: Augmentation) -> None:
        self._source, self._size, self._augment = source, size, augment
        self.shape: tuple[int, ...] = (3, *size)
        self.classes = tuple(source.classes)
        self._kept: dict[int, tuple[Pixels, int]] = {}
        self._keep = False
        first, _ = self._item(0)
        self._keep = first.nbytes * len(source) <= _KEPT

    def __len__(self) -> int:
        return len(self._source)

    def batch(self, indices: npt.NDArray[np.int64], rng: np.random.Generator | None) -> Batch:
        """See `Data`."""
        pixels, labels = zip(*(self._item(int(index)) for index in indices), strict=True)
        inputs = normalise(np.stack(pixels))
        return self._change(inputs, rng), torch.tensor(labels, dtype=torch.int64)

    def _item(self, index: int) -> tuple[Pixels, int]:
        if index in self._kept:
            return self._kept[index]
        item = self._source[index]
        if item.label is None:
            raise CallerError(
                f"image {item.name} has no class", hint="put the images of each class into a folder"
            )
        found = item.image, item.label
        if self._keep:
            self._kept[index] = found
        return found

    def _change(self, inputs: torch.Tensor, rng: np.random.Generator | None) -> torch.Tensor:
        pad, (height, width) = self._augment.pad if rng else 0, self._size
        if pad:
            inputs = torch.nn.functional.pad(inputs, (pad,) * 4)
        room = inputs.shape[2] - height, inputs.shape[3] - width
        if rng is None:
            top, left = room[0] // 2, room[1] // 2
            return inputs[:, :, top : top + height, left : left + width]
        flips = rng.random(len(inputs)) < 0.5 if self._augment.flip else np.zeros(len(inputs), bool)
        tops, lefts = (rng.integers(0, side + 1, len(inputs)) for side in room)
        found = torch.empty(len(inputs), 3, height, width)
        for n, (flip, top, left) in enumerate(zip(flips, tops, lefts, strict=True)):
            crop = inputs[n, :, top : top + height, left : left + width]
            found[n] = crop.flip(2) if flip else crop
        return found


class Arrays:
    """Inputs and targets in memory.

    inputs  : N x ..., float32.
    targets : N classes, int64; or N x K values, float32.
    """

    classes: tuple[str, ...] = ()

    def __init__(self, inputs: npt.NDArray[Any], targets: npt.NDArray[Any]) -> None:
        if len(inputs) != len(targets) or not len(inputs) or inputs.ndim not in (2, 4):
            raise CallerError(
                f"inputs of {inputs.shape} and targets of {targets.shape} do not fit each other",
                hint="inputs are N x D or N x C x H x W, targets N or N x K",
            )
        kind = np.int64 if targets.ndim == 1 else np.float32
        self._inputs = torch.from_numpy(np.ascontiguousarray(inputs, np.float32))
        self._targets = torch.from_numpy(np.ascontiguousarray(targets, kind))
        self.shape = tuple(inputs.shape[1:])

    def __len__(self) -> int:
        return len(self._inputs)

    def batch(self, indices: npt.NDArray[np.int64], rng: np.random.Generator | None) -> Batch:
        """See `Data`; arrays are not augmented."""
        return self._inputs[indices], self._targets[indices]


@dataclass(frozen=True, eq=False)
class _Cifar:
    """A source of the images in a binary file of CIFAR: a label or two, then R, G, B planes."""

    pixels: Pixels
    labels: npt.NDArray[np.uint8]
    classes: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        return [f"{number:05}" for number in range(len(self.labels))]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Any:
        from refcodec.models.images import Item

        return Item(self.pixels[index], f"{index:05}", int(self.labels[index]))


def _read_cifar(path: Path, count: int | None) -> _Cifar:
    data, size = np.fromfile(path, np.uint8), 3 * _SIDE * _SIDE
    for labels, classes in ((1, 10), (2, 100)):
        if len(data) and len(data) % (labels + size) == 0:
            rows = data.reshape(-1, labels + size)[:count]
            if rows[:, labels - 1].max() < classes:
                planes = rows[:, labels:].reshape(-1, 3, _SIDE, _SIDE)
                pixels = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
                names = tuple(f"{number:02}" for number in range(classes))
                return _Cifar(pixels, rows[:, labels - 1], names)
    raise CallerError(
        f"{path} is no binary file of CIFAR", hint="its records have 3073 bytes, or 3074"
    )


def open_data(
    path: Path,
    *,
    count: int | None = None,
    size: tuple[int, int] = (32, 32),
    enlarge: int | None = None,
    augment: Augmentation = Augmentation(),
    classes: int | None = None,
) -> Data:
    """Open data by path; the table above has the kinds.

    count   : number of them to take; None for all. Of images equally many of each class, where it can be.
    size    : height and width of images.
    enlarge : scale images until they cover this side, and crop them to the size: at random in training.
    augment : changes of training images.
    classes : number of classes of records, which do not say.

    Raises CallerError if there are no such data.
    """
    if not path.exists():
        raise CallerError(
            f"there are no data at {path}", hint="name the data folder by --data, or set the path"
        )
    try:
        if path.is_dir() and any(path.glob("*.tfrecord")):
            return VideoRecords(path, count=count, classes=classes)
        if path.suffix == ".bin":
            return Images(_read_cifar(path, count), (_SIDE, _SIDE), augment)
        if path.suffix == ".npz" and (arrays := _read_arrays(path, count)):
            return arrays
    except OSError as error:
        raise storage_error(error, path) from None
    opened = (enlarge, enlarge) if enlarge else size
    if min(opened) < max(size):
        raise CallerError(f"images are enlarged to {enlarge}, and {size} is cropped of them")
    return Images(open_images(str(path), count=count, size=opened), size, augment)


def _read_arrays(path: Path, count: int | None) -> Arrays | None:
    """The arrays of a file that has ``inputs`` and ``targets``; None for another file."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if "inputs" not in archive or "targets" not in archive:
                return None
            return Arrays(archive["inputs"][:count], archive["targets"][:count])
    except (ValueError, EOFError) as error:
        raise CallerError(
            f"{path} holds no arrays: {error}", hint="save it by numpy.savez"
        ) from None
