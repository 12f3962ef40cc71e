"""Streams for tests."""

import io
from typing import Any

import refcodec


def stream_of(features: Any, **options: Any) -> bytes:
    """A stream of these features."""
    target = io.BytesIO()
    with refcodec.create(target, **options) as writer:
        for feature in features:
            writer.write(feature)
    return target.getvalue()
