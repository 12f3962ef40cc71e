"""Images to run networks on: folders, archives of JPEGs, rendered scenes.

A source is a sequence of items, read when they are indexed. It has::

    len(source)       number of images
    source[i]         Item: image (H x W x 3, uint8), name, label or None, mask or None
    source.names      names of the images
    source.classes    names of the classes that labels and masks index; () if there are none

:func:`open_images` opens a source by name, and :func:`batches` stacks its items for a network::

    source = open_images("photographs", count=20, size=(224, 224))
    for batch in batches(source, 10):
        features = cut.head(batch.inputs)
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

import numpy as np
import numpy.typing as npt
import torch

from refcodec.errors import CallerError, EnvironmentFault
from refcodec.files import storage_error
from refcodec.models import scenes
from refcodec.models.imagenet import ids, labels_by_name

__all__ = [
    "DEVIATION",
    "MEAN",
    "Archive",
    "Batch",
    "Folder",
    "Item",
    "Listed",
    "Scenes",
    "Source",
    "batches",
    "denormalise",
    "normalise",
    "open_images",
]

Pixels = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff")

_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "PPM", "TIFF")

MEAN: Final = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION: Final = np.array([0.229, 0.224, 0.225], np.float32)
"""Mean and standard deviation of the pixels of ImageNet, scaled to 0 to 1: R, G, B."""


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One image.

    image : H x W x 3, uint8, RGB.
    name  : its name, unique in the source.
    label : index of its class; None if it has none.
    mask  : class of each pixel, H x W; None if it has none.
    """

    image: Pixels
    name: str
    label: int | None = None
    mask: Integers | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Several images of one size: N x H x W x 3, with labels N and masks N x H x W, or None."""

    images: Pixels
    names: tuple[str, ...]
    labels: Integers | None
    masks: Integers | None

    @property
    def inputs(self) -> torch.Tensor:
        """The images as network input, by :func:`normalise`."""
        return normalise(self.images)


class Source(Protocol):
    """A sequence of images."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the images, all different."""

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Item: ...


def open_images(
    name: str, *, count: int | None = None, size: tuple[int, int] = (224, 224)
) -> Source:
    """Open a source of images by name.

    name  : a folder of images, with a sub-folder for each class or flat; a ``.txt`` that lists them, a path a
            line; an ``.npz`` of JPEGs; or ``scenes:COUNT``, rendered scenes with masks.
    count : number of images to take; None for all. With classes, equally many of each, the first ones by name
            or number, class by class; without classes the first ones by name.
    size  : height and width. Images are scaled until they cover it (bicubic), and cropped at the centre.

    Raises CallerError if there are no such images, EnvironmentFault without Pillow.
    """
    if count is not None and count < 1:
        raise CallerError(f"the count of images is {count}; it is 1 or more")
    if name.startswith("scenes:"):
        return Scenes(name, count=count, size=size)
    path = Path(name)
    try:
        kind = Folder if path.is_dir() else Listed if path.suffix == ".txt" else Archive
        return kind(path, count=count, size=size)
    except OSError as error:
        raise storage_error(error, path) from None


def normalise(pixels: Pixels) -> torch.Tensor:
    """Convert RGB images, N x H x W x 3, uint8, to the input of a network, N x 3 x H x W, float32.

    Pixels are scaled to 0 to 1, then normalised by the mean and standard deviation of ImageNet, per channel.
    """
    scaled = (pixels.astype(np.float32) / np.float32(255) - MEAN) / DEVIATION
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)))


def denormalise(inputs: torch.Tensor) -> torch.Tensor:
    """Images from 0 to 1 of inputs that `normalise` has made, N x 3 x H x W."""
    mean, deviation = (torch.from_numpy(one)[:, None, None] for one in (MEAN, DEVIATION))
    return (inputs * deviation.to(inputs.device) + mean.to(inputs.device)).clamp(0, 1)


def batches(source: Source, size: int) -> Iterator[Batch]:
    """Yield the images of a source in order, ``size`` at a time; the last batch may be smaller."""
    for start in range(0, len(source), size):
        items = [source[i] for i in range(start, min(start + size, len(source)))]
        labels = [item.label for item in items if item.label is not None]
        masks = [item.mask for item in items if item.mask is not None]
        yield Batch(
            images=np.stack([item.image for item in items]),
            names=tuple(item.name for item in items),
            labels=np.array(labels, np.int64) if labels else None,
            masks=np.stack(masks).astype(np.int64) if masks else None,
        )


class Folder:
    """Image files of a folder: each sub-folder a class, or all flat.

    Flat files have labels if each name begins with the WordNet id of a class of ImageNet. Hidden files, and
    files without the suffix of an image, are skipped.
    """

    def __init__(self, path: Path, *, count: int | None, size: tuple[int, int]) -> None:
        folders = sorted(entry for entry in path.iterdir() if entry.is_dir())
        found = {folder.name: files for folder in folders if (files := _image_files(folder))}
        if found and _image_files(path):
            raise CallerError(
                f"{path} holds images and folders of images",
                hint="labels come from folders: move the images into them, or into a folder apart",
            )
        if flat := _image_files(path):
            named = labels_by_name(file.name for file in flat)
            classes = ids() if named else ()
            self._take(path, flat, classes, named or [None] * len(flat), count)
        else:
            files = [file for own in found.values() for file in own]
            labels = [label for label, own in enumerate(found.values()) for _ in own]
            self._take(path, files, tuple(found), labels, count)
        self._size = size

    def _take(
        self,
        path: Path,
        files: Sequence[Path],
        classes: Sequence[str],
        labels: Sequence[int | None],
        count: int | None,
    ) -> None:
        """Choose among files below a folder."""
        if not files:
            raise CallerError(
                f"{path} holds no images", hint=f"images end in {', '.join(_SUFFIXES)}"
            )
        self.classes, self._files, self._labels = classes, files, labels
        self._chosen = _choose(labels, count, path)
        self.names = [files[i].relative_to(path).as_posix() for i in self._chosen]

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: int) -> Item:
        number = self._chosen[index]
        file = self._files[number]
        try:
            data = file.read_bytes()
        except OSError as error:
            raise storage_error(error, file) from None
        image = _decode(data, str(file), self._size)
        return Item(image, self.names[index], self._labels[number])


class Listed(Folder):
    """Image files that a text lists, a path a line, below the folder of the text or one above it.

    The folder of an image is its class. The splits of MINC-2500 are published so.
    """

    def __init__(self, path: Path, *, count: int | None, size: tuple[int, int]) -> None:
        try:
            lines = [one for line in path.read_text("utf-8").splitlines() if (one := line.strip())]
        except UnicodeDecodeError:
            raise CallerError(f"{path} is no text in UTF-8") from None
        if not lines:
            raise CallerError(f"{path} lists no images")
        root = next((one for one in path.absolute().parents if (one / lines[0]).is_file()), None)
        if root is None:
            raise CallerError(
                f"{path} lists {lines[0]}, which is in none of the folders above it",
                hint="leave the list where it was published, in the folder of the images",
            )
        files = [root / line for line in lines]
        classes = sorted({file.parent.name for file in files})
        self._take(root, files, classes, [classes.index(one.parent.name) for one in files], count)
        self._size = size


def _image_files(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in _SUFFIXES and not file.name.startswith(".") and file.is_file()
    )


class Archive:
    """An ``.npz`` of JPEGs with labels.

    Its arrays: ``jpeg`` (uint8), all files end to end; ``offsets``, image ``i`` is
    ``jpeg[offsets[i]:offsets[i + 1]]``; ``labels``, which index ``classes``, the names.
    """

    def __init__(self, path: Path, *, count: int | None, size: tuple[int, int]) -> None:
        with path.open("rb") as file:
            arrays = _read_arrays(file, path)
        self._jpeg, self._offsets, self._labels, classes = arrays
        self.classes: Sequence[str] = tuple(str(name) for name in classes)
        self._check(path)
        self._chosen = _choose(self._labels.tolist(), count, path)
        self._path, self._size = path, size
        self.names = [f"{number:05}" for number in self._chosen]

    def _check(self, path: Path) -> None:
        offsets, labels = self._offsets, self._labels
        if (
            len(offsets) != len(labels) + 1
            or not len(labels)
            or offsets[0] < 0
            or (np.diff(offsets) < 0).any()
            or offsets[-1] > len(self._jpeg)
            or labels.min() < 0
            or labels.max() >= len(self.classes)
        ):
            raise CallerError(f"the arrays of {path} do not fit each other", hint="it is damaged")

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: int) -> Item:
        number = self._chosen[index]
        data = self._jpeg[self._offsets[number] : self._offsets[number + 1]].tobytes()
        image = _decode(data, f"image {number} of {self._path}", self._size)
        return Item(image, self.names[index], int(self._labels[number]))


def _read_arrays(file: BinaryIO, path: Path) -> list[npt.NDArray[Any]]:
    try:
        if not zipfile.is_zipfile(file):
            raise ValueError("it is no .npz")
        file.seek(0)
        with np.load(file, allow_pickle=False) as archive:
            jpeg = archive["jpeg"].astype(np.uint8, casting="safe").ravel()
            numbers = [archive[key].astype(np.int64).ravel() for key in ("offsets", "labels")]
            return [jpeg, *numbers, archive["classes"].ravel()]
    except (KeyError, TypeError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise CallerError(
            f"{path} is no archive of images: {error}",
            hint="give a folder of images, or an .npz with the arrays jpeg, offsets, labels, classes",
        ) from None


def _choose(labels: Sequence[int | None], count: int | None, path: Path) -> list[int]:
    """Numbers of the images to take, class by class, equally many of each."""
    wanted = len(labels) if count is None else count
    if wanted > len(labels):
        raise CallerError(f"{path} holds {len(labels)} images; {wanted} are asked for")
    ranks, seen = [], dict.fromkeys(labels, 0)
    for label in labels:
        ranks.append(seen[label])
        seen[label] += 1
    keys = [-1 if label is None else label for label in labels]
    by_rank = sorted(range(len(labels)), key=lambda i: (ranks[i], keys[i]))
    return sorted(by_rank[:wanted], key=lambda i: (keys[i], ranks[i]))


class Scenes:
    """Rendered scenes (`refcodec.models.scenes`) with masks, held out from training."""

    def __init__(self, name: str, *, count: int | None, size: tuple[int, int]) -> None:
        number = name.removeprefix("scenes:")
        if not (number.isdecimal() and int(number)):
            raise CallerError(f"{name!r} does not say how many scenes", hint="as scenes:200 does")
        if size != (scenes.SIZE, scenes.SIZE):
            raise CallerError(
                f"scenes are {scenes.SIZE} x {scenes.SIZE}; {size[0]} x {size[1]} is asked for",
                hint=f"give the input size {scenes.SIZE}",
            )
        if count is not None and count > int(number):
            raise CallerError(f"{name} holds {number} images; {count} are asked for")
        self.classes: Sequence[str] = scenes.CLASSES
        self.names = [f"scene {i:05}" for i in range(count or int(number))]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Item:
        image, mask = scenes.render_scene(scenes.HELD_OUT_SEED, range(len(self))[index])
        return Item(image, self.names[index], mask=mask.astype(np.int64))


def _decode(data: bytes, what: str, size: tuple[int, int]) -> Pixels:
    """An image file as H x W x 3: scaled until it covers the size, cropped at the centre."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise EnvironmentFault(
            "images are read by Pillow, which is missing", hint="pip install 'refcodec[evaluate]'"
        ) from None
    try:
        # The content must be of these formats, too: for others Pillow may start another program.
        image: Any = Image.open(io.BytesIO(data), formats=_FORMATS).convert("RGB")
    except (
        *(OSError, SyntaxError, ValueError),
        *(UnidentifiedImageError, Image.DecompressionBombError),
    ) as error:
        raise CallerError(f"{what} is no image that Pillow can read: {error}") from None
    height, width = size
    scale = max(width / image.width, height / image.height)
    image = image.resize(
        (max(width, round(image.width * scale)), max(height, round(image.height * scale))),
        Image.Resampling.BICUBIC,
    )
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return np.asarray(image.crop((left, top, left + width, top + height)))
