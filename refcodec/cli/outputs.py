"""Writing of features to files of arrays: .npy, .npz and .safetensors, or .npy on a pipe."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from itertools import chain
from typing import BinaryIO

import ml_dtypes
import numpy as np
from numpy.lib import format as npy
from safetensors.numpy import save

from refcodec.cli.arrays import BFLOAT16_HINT, Array, known_suffix
from refcodec.cli.terminal import PIPE, standard_output
from refcodec.errors import CallerError
from refcodec.files import atomic_file

__all__ = ["write_features"]


def write_features(target: str, features: Iterable[Array]) -> int:
    """Write features to a file of arrays, whole or not at all; returns their number.

    target : ``.npy`` takes features of one shape, several stacked along a leading axis; ``.npz`` and
             ``.safetensors`` one array per feature, from ``feature00000``; ``-`` is .npy on standard output.

    Raises CallerError for another suffix, or features that the format cannot hold.
    """
    if target == PIPE:
        output = standard_output()
        with (
            tempfile.TemporaryFile() as file
        ):  # a pipe can take back neither a header nor half a file
            count = _write_npy(file, features)
            file.seek(0)
            shutil.copyfileobj(file, output)
        return count
    write = _WRITERS[known_suffix(target)]
    with atomic_file(target) as file:
        return write(file, features)


def _write_npy(file: BinaryIO, features: Iterable[Array]) -> int:
    rest = iter(features)
    first = next(rest, np.empty(0, np.float32))
    second = next(rest, None)
    if second is None:
        npy.write_array(file, _native(first), allow_pickle=False)
        return 1 if first.size else 0
    count = 0
    _write_header(file, first, count)
    for feature in chain([first, second], rest):
        if feature.shape != first.shape or feature.dtype != first.dtype:
            raise CallerError(
                f"feature {count} is {feature.dtype} of shape {feature.shape}, "
                f"feature 0 {first.dtype} of shape {first.shape}",
                hint="one .npy cannot hold both; use .npz or .safetensors",
            )
        file.write(_native(feature).tobytes())
        count += 1
    file.seek(0)
    _write_header(file, first, count)  # numpy reserves space in it for a longer first axis
    return count


def _write_header(file: BinaryIO, first: Array, count: int) -> None:
    descr = npy.dtype_to_descr(_native(first).dtype)
    header = {"descr": descr, "fortran_order": False, "shape": (count, *first.shape)}
    npy.write_array_header_1_0(file, header)


def _write_npz(file: BinaryIO, features: Iterable[Array]) -> int:
    count = 0
    with zipfile.ZipFile(file, "w") as archive:
        for feature in features:
            with archive.open(f"{_name(count)}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, _native(feature), allow_pickle=False)
            count += 1
    return count


def _write_safetensors(file: BinaryIO, features: Iterable[Array]) -> int:
    named = {_name(number): np.ascontiguousarray(one) for number, one in enumerate(features)}
    file.write(save(named))
    return len(named)


def _name(number: int) -> str:
    return f"feature{number:05}"


def _native(feature: Array) -> Array:
    """The feature itself, unless numpy's own files cannot hold its type."""
    if feature.dtype == ml_dtypes.bfloat16:
        raise CallerError("the features are bfloat16", hint=BFLOAT16_HINT)
    return feature


_WRITERS: dict[str, Callable[[BinaryIO, Iterable[Array]], int]] = {
    ".npy": _write_npy,
    ".npz": _write_npz,
    ".safetensors": _write_safetensors,
}
