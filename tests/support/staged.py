"""Features and their parameters, as the coders of quantised maps take them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from refcodec import EncoderConfig
from refcodec.coders.protocol import Payload
from refcodec.encoder.encoding import signal_parameters
from refcodec.encoder.parameter_sets import make_parameter_set

shapes = st.one_of(
    st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 12)),
    st.tuples(st.integers(1, 2), st.integers(1, 70), st.integers(1, 33)),
    st.tuples(st.integers(1, 300), st.just(1), st.just(1)),
)


def smooth(*shape: int, seed: int = 1) -> Any:
    """A feature as a ReLU leaves it, with some likeness of neighbours."""
    values = np.random.default_rng(seed).normal(0, 1, shape)
    for axis in (-1, -2)[: len(shape) - 1]:
        values = values + np.roll(values, 1, axis) + np.roll(values, 2, axis)
    return np.maximum(values, 0).astype(np.float32)


def stage(shape: tuple[int, ...], qp: Any = 20, **options: Any) -> tuple[Any, Any]:
    """The parameter set and the parameters of a feature, as a decoder reads them."""
    qps = qp if isinstance(qp, tuple) else (qp,) * shape[0]
    config = EncoderConfig(**options)
    fps = make_parameter_set(config, np.ones(shape, np.float32), qps)
    return fps, signal_parameters(fps, config, qps)


def coded(fps: Any, parameters: Any, payload: bytes) -> Payload:
    return Payload(fps, parameters, b"", True, payload)
