"""Latents of features under a hyperprior, as an analysis gives them. Not normative."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from refcodec.config import EncoderConfig
from refcodec.encoder.features import Feature
from refcodec.errors import CallerError
from refcodec.inputs import as_array

__all__ = ["Analysis", "Latents", "latents_for"]


class Latents(NamedTuple):
    """The latents of a feature, before they are coded.

    latents : floats, C x H x W, before rounding.
    hyper   : hyper-latents, C x H x W, integers: as the scales of the latents follow from them.
    """

    latents: npt.NDArray[Any]
    hyper: npt.NDArray[Any]


class Analysis(Protocol):
    """The transforms that an encoder has beside a hyperprior: features to latents, latents to hyper-latents.

    It may have an attribute ``step``: the step of the lattice of the features, one or one per channel, which
    is taken unless the configuration has another.
    """

    def __call__(self, feature: Feature, /) -> tuple[npt.ArrayLike, npt.ArrayLike]:
        """The latents, before rounding, and the hyper-latents of a feature, C x H x W."""
        ...


def latents_for(feature: Feature, config: EncoderConfig, given: Any = None) -> Latents:
    """The latents of a feature, C x H x W: those that are given, else those of the analysis.

    Raises CallerError where there is neither, or what they are is no pair of arrays of numbers.
    """
    if given is None and config.analysis is None:
        raise CallerError(
            "a hyperprior codes latents, and nothing makes them of features",
            hint="give analysis=, a function from a feature to latents and hyper-latents, or latents= with "
            "each feature",
        )
    pair = config.analysis(feature) if given is None else given
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise CallerError("latents are a pair: latents, and hyper-latents")
    arrays = [as_array(one, None) for one in pair]
    if not all(np.issubdtype(one.dtype, np.number) for one in arrays):
        raise CallerError("latents are arrays of numbers")
    return Latents(*(one.reshape(-1, 1, 1) if one.ndim == 1 else one for one in arrays))
