"""Payload coders: integer samples to payload bytes and back (clause 8.3).

``protocol`` is the interface of a coder. ``lossless`` has raw and the byte compressors, ``hevc``, ``vvc`` and
``av1`` are the video coders, ``video`` is their common part, ``native`` and ``native_lossless`` are the
format's own coders, ``learned`` is that of latents. A coder is imported when it is first used, as importing
kernels and their compiler takes time.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from refcodec.coders.protocol import PayloadCoder
from refcodec.registry import record_of
from refcodec.syntax.codes import Coder

__all__ = ["payload_coder"]


@cache
def payload_coder(coder_id: Coder) -> PayloadCoder:
    """The payload coder of a code point."""
    found: PayloadCoder = import_module(record_of(coder_id).module).PAYLOAD_CODER
    return found
