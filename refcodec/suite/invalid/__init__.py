"""The vectors that break the specification, each once, in the order of the manifest.

Each is an edit of a valid one.
"""

from refcodec.suite.invalid import (
    av1,
    bounds,
    byte_formats,
    contexts,
    exact_ends,
    features,
    header,
    hevc,
    hevc_bounds,
    hyperpriors,
    latents,
    latents_tables,
    native,
    native_lossless,
    native_static,
    parameter_sets,
    payloads,
    ranges,
    tokens,
    transforms,
    types,
    unit_bounds,
    units,
    unnoticed,
    vvc,
)
from refcodec.suite.make.define import definitions

__all__ = ["INVALID"]

INVALID = definitions(
    header,
    units,
    parameter_sets,
    features,
    payloads,
    unnoticed,
    native,
    native_lossless,
    types,
    ranges,
    bounds,
    unit_bounds,
    byte_formats,
    exact_ends,
    hevc,
    latents,
    hevc_bounds,
    latents_tables,
    hyperpriors,
    native_static,
    transforms,
    tokens,
    vvc,
    av1,
    contexts,
)
