"""The vectors that every decoder of their profile must decode, in the order of the manifest.

``values`` holds their features; ``build`` and ``content`` make streams of them.
"""

from refcodec.suite.make.define import definitions
from refcodec.suite.valid import (
    byte_formats,
    exact_headers,
    hevc,
    hevc_headers,
    hevc_limits,
    hyperpriors,
    latents,
    latents_tables,
    limits,
    lossless,
    native_blocks,
    native_dependent,
    native_limits,
    native_lossless,
    native_restoration,
    native_static,
    native_steps,
    native_streams,
    quantisers,
    ranges,
    streams,
    ties,
    tokens,
    transforms,
    types,
    units,
    unusual,
    vvc,
)

__all__ = ["VALID"]

VALID = definitions(
    lossless,
    quantisers,
    streams,
    unusual,
    hevc,
    native_blocks,
    native_steps,
    native_restoration,
    native_streams,
    native_lossless,
    types,
    ranges,
    byte_formats,
    exact_headers,
    hevc_limits,
    limits,
    native_limits,
    ties,
    units,
    latents,
    hevc_headers,
    latents_tables,
    hyperpriors,
    native_static,
    transforms,
    tokens,
    native_dependent,
    vvc,
)
