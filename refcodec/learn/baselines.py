"""Other ways to store features: those of Singh et al. (2020, 3.1), and the codecs of refcodec.

The paper compresses the feature of each image alone, by zlib at level 9: as it is (``zlib``), in half
precision (``float16``), quantised to equal intervals of its range (``quantised``), or projected to principal
components (``pca``), whose basis is not counted. The range and the components are those of training features.
The coders of refcodec store all features in one file, whose size is counted as a whole; each can be decoded
alone there, too.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from refcodec.checked import Table, instead
from refcodec.errors import CallerError
from refcodec.models import Cut

__all__ = ["Baseline", "Known", "Stored", "read_baseline", "store"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Baseline:
    """A way to store features: ``[[baselines]]``.

    coder   : of ``CODERS`` of this module.
    choices : values of its options; each combination makes a point.
    count   : number of test features to store; None for all.
    """

    coder: str
    choices: Mapping[str, tuple[Any, ...]]
    count: int | None = None

    def points(self) -> list[dict[str, Any]]:
        """The options of each point."""
        names = list(self.choices)
        return [dict(zip(names, one, strict=True)) for one in product(*self.choices.values())]


@dataclass(frozen=True)
class Stored:
    """Features as they come back from storage.

    features : N x C x H x W or N x D, float32.
    size     : mean bytes of a feature.
    """

    features: Floats
    size: float


@dataclass(frozen=True, eq=False)
class Known:
    """Features of training data: they give the range of values, and principal components.

    features : N x C x H x W or N x D, float32.
    """

    features: Floats

    @cached_property
    def principal(self) -> tuple[Floats, Floats]:
        """Mean of the features, and unit vectors in columns, those of the largest variance first."""
        flat = self.features.reshape(len(self.features), -1)
        covariance = np.cov(flat, rowvar=False, dtype=np.float64).reshape(flat.shape[1], -1)
        _, vectors = np.linalg.eigh(covariance)
        return flat.mean(axis=0), np.ascontiguousarray(vectors[:, ::-1], np.float32)


# --- the paper's -----------------------------------------------------------------------------------


def _each(features: npt.NDArray[Any]) -> float:
    """Mean size of features, each compressed by zlib alone."""
    return float(np.mean([len(zlib.compress(one.tobytes(), 9)) for one in features]))


def _zlib(features: Floats, known: Known, cut: Cut) -> Stored:
    return Stored(features, _each(features))


def _float16(features: Floats, known: Known, cut: Cut) -> Stored:
    half = features.astype(np.float16)
    return Stored(half.astype(np.float32), _each(half))


def _quantised(features: Floats, known: Known, cut: Cut, *, bins: int) -> Stored:
    if not 2 <= bins <= 1 << 16:
        raise CallerError(f"features are quantised to {bins} bins; it is 2 to 65536")
    low, high = float(known.features.min()), float(known.features.max())
    step = (high - low) / bins or 1.0
    numbers = np.clip(np.floor((features - low) / step), 0, bins - 1)
    size = _each(numbers.astype(np.uint8 if bins <= 256 else np.uint16))
    return Stored((low + (numbers + 0.5) * step).astype(np.float32), size)


def _pca(features: Floats, known: Known, cut: Cut, *, components: int) -> Stored:
    mean, vectors = known.principal
    if not 1 <= components <= len(mean):
        raise CallerError(f"features have {len(mean)} components, and {components} are asked for")
    basis = vectors[:, :components]
    found = (features.reshape(len(features), -1) - mean) @ basis
    back = (found @ basis.T + mean).astype(np.float32)
    return Stored(back.reshape(features.shape), _each(found))


# --- ours ------------------------------------------------------------------------------------------


def _native_lossless(features: Floats, known: Known, cut: Cut) -> Stored:
    return _write(features, cut, "none", {}, coder="native-lossless")


def _native(features: Floats, known: Known, cut: Cut, *, qp: int) -> Stored:
    return _write(features, cut, "none", {}, coder="native", qp=qp)


def _tail_aware(features: Floats, known: Known, cut: Cut, *, strength: float) -> Stored:
    return _write(features, cut, "tail-aware", {"strength": strength}, coder="native")


def _write(
    features: Floats, cut: Cut, method: str, parameters: dict[str, Any], **choices: Any
) -> Stored:
    import refcodec
    from refcodec.allocate.methods import Allocation, write_features

    target = io.BytesIO()
    config = refcodec.EncoderConfig(**choices)
    write_features(target, features, config, Allocation(method, parameters), cut)
    with refcodec.open(target.getvalue()) as reader:
        back = np.stack(list(reader))
    return Stored(back, len(target.getvalue()) / len(features))


# --- by name ---------------------------------------------------------------------------------------

CODERS: Final[Mapping[str, tuple[Callable[..., Stored], tuple[str, ...]]]] = {
    "zlib": (_zlib, ()),
    "float16": (_float16, ()),
    "quantised": (_quantised, ("bins",)),
    "pca": (_pca, ("components",)),
    "native-lossless": (_native_lossless, ()),
    "native": (_native, ("qp",)),
    "tail-aware": (_tail_aware, ("strength",)),
}
"""Functions that store features, and their options, by the names of configurations."""


def store(
    coder: str, options: Mapping[str, Any], features: Floats, known: Known, cut: Cut
) -> Stored:
    """Store features and read them back.

    features : N x C x H x W or N x D, float32.
    known    : features of training data.
    cut      : the network whose features they are, for encoders that know its tail.

    Raises CallerError for options beyond their range.
    """
    return CODERS[coder][0](features, known, cut, **options)


def read_baseline(table: Table) -> Baseline:
    """Read a baseline from a configuration. Raises CallerError for what is not known."""
    coder = table.take("coder", str)
    if coder not in CODERS:
        raise CallerError(f"{table.where} has the coder {coder!r}{instead(coder, CODERS)}")
    count = table.take("count", int, None)
    if count is not None and count < 1:
        raise CallerError(f"'count' of {table.where} is {count}; it is 1 or more")
    choices = {}
    for name in CODERS[coder][1]:
        said = table.take(name, (int, float, list))
        values = said if isinstance(said, list) else [said]
        if not values or not all(type(one) in (int, float) for one in values):
            raise CallerError(f"{name!r} of {table.where} is {said!r}; it is a number or several")
        choices[name] = tuple(values)
    table.finish()
    return Baseline(coder, choices, count)
