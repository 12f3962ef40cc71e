"""One job: code the features of a place, decode them, run the tail on them, and store the figures."""

from __future__ import annotations

import io
import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import refcodec
from refcodec.evaluate.coders import Stream, coder_for, payloads
from refcodec.evaluate.features import FeatureSet, Tail, load_features
from refcodec.evaluate.machine import load_average
from refcodec.evaluate.plan import Job, code_digest
from refcodec.evaluate.protocol import Coder
from refcodec.evaluate.statistics import Statistics, gather, join
from refcodec.files import atomic_file
from refcodec.pack import channel_qps

__all__ = ["load_result", "load_statistics", "measure"]

Array = npt.NDArray[Any]

_AT_ONCE: Final = 8
"""Number of features that are decoded, run through the tail and compared together."""

_CHANNEL_FEATURES: Final = 4
"""Number of features to measure the bits of channels on, by coding them again without each channel."""

_MORE_THAN_QPS: Final = (("native", "gradient"), ("native", "tail-aware"), ("hevc", "tail-aware"))
"""Coders and allocations whose coding of a feature does not follow from its QPs alone."""


def measure(job: Job, features: Path, results: Path) -> None:
    """Run a job; store its result and the statistics of its images in the folder of results.

    features : the folder with the features of the job's place.
    """
    found = load_features(job.place, features)
    assert found is not None
    tail = Tail(job.place)
    with tempfile.TemporaryDirectory(dir=results, prefix=".running.") as scratch:
        coder = coder_for(job.setting, tail.cut, Path(scratch))
        _warm_up(job, found.features)
        start = time.perf_counter()
        whole = isinstance(coder, Stream) and coder.takes_tokens
        encoded = coder.encode(found.sequences() if whole else found.features)
        encode_seconds = time.perf_counter() - start
        decoded = _Timed(coder.decode())
        exact, statistics = _compare(decoded, found, tail)
        record: dict[str, Any] = {
            "job": job.describe(),
            "name": job.name,
            "code": code_digest(),
            "load_average": load_average(),
            "coded_bytes": encoded.total,
            "constant_bytes": encoded.constant,
            "encode_seconds": encode_seconds,
            "decode_seconds": decoded.seconds,
            "bit_exact": exact,
        }
        record |= _conformance(job, coder)
        if isinstance(coder, Stream) and _wants_channels(job, found.features):
            record["channels"] = _channels(job, coder, found.features)
    statistics["bytes"] = found.per_item(encoded.per_image)
    _keep(job, results, record, statistics)


def _keep(job: Job, results: Path, record: dict[str, Any], statistics: Statistics) -> None:
    # an older record does not match the new statistics
    (results / f"{job.slug}.json").unlink(missing_ok=True)
    with atomic_file(results / f"{job.slug}.npz") as file:
        np.savez_compressed(file, allow_pickle=False, **statistics)
    with atomic_file(
        results / f"{job.slug}.json"
    ) as file:  # written last: if it exists, all files do
        file.write(json.dumps(record, indent=1).encode() + b"\n")


def load_result(job: Job, results: Path) -> dict[str, Any] | None:
    """The result that `measure` stored; None if there is none."""
    try:
        record: dict[str, Any] = json.loads((results / f"{job.slug}.json").read_text())
    except FileNotFoundError:
        return None
    return record


def load_statistics(job: Job, results: Path) -> Statistics:
    """The statistics of the job's images: those of `gather`, and ``bytes`` of each."""
    with np.load(results / f"{job.slug}.npz", allow_pickle=False) as archive:
        return dict(archive)


def _warm_up(job: Job, features: Array) -> None:
    """Compile or load kernels before times are measured."""
    if job.setting.coder.startswith("native"):
        refcodec.decode(refcodec.encode(features[0], job.setting.config.but(batch=False)))


class _Timed:
    """An iterator, and the seconds spent in it."""

    def __init__(self, features: Iterator[Array]) -> None:
        self._features, self.seconds = features, 0.0

    def __iter__(self) -> Iterator[Array]:
        while True:
            start = time.perf_counter()
            one = next(self._features, None)
            self.seconds += time.perf_counter() - start
            if one is None:
                return
            yield one


def _compare(decoded: Iterable[Array], found: FeatureSet, tail: Tail) -> tuple[bool, Statistics]:
    """Compare decoded features with the originals; returns if all are bit-exact, and the statistics."""
    parts, exact, done, start = [], True, 0, 0
    task = found.facts.get("task")
    for features in found.group(decoded, _AT_ONCE):
        count = features.shape[0] if found.lengths is None else features.shape[1]
        original = found.features[done : done + count].reshape(features.shape)
        done += count
        exact = exact and features.tobytes() == original.tobytes()
        own = slice(start, start + len(features))
        truth = {
            "labels": None if found.labels is None else found.labels[own],
            "masks": None if found.masks is None else found.masks[own],
            "gallery": found.outputs if task == "embedding" else None,
        }
        parts.append(gather(tail(features), found.outputs[own], features, original, **truth))
        start = own.stop
    return exact, join(parts)


def _conformance(job: Job, coder: Coder) -> dict[str, Any]:
    """Validate the stream, if it is a DFC stream and the experiment asks for it; returns the findings."""
    if not (job.measure.validate and isinstance(coder, Stream)):
        return {}
    report = refcodec.validate(coder.path)
    faults = [*map(str, report.violations[:3]), *report.unverified[:3]]
    return {"conforming": report.conforming} | ({"faults": faults} if faults else {})


def _wants_channels(job: Job, features: Array) -> bool:
    """True if bits of channels are asked for, and the features are maps coded by QPs alone."""
    setting = job.setting
    more = setting.lossless or (setting.coder, setting.allocation.method) in _MORE_THAN_QPS
    return job.measure.channels and features.ndim == 4 and not more


def _channels(job: Job, coder: Stream, features: Array) -> dict[str, list[float]]:
    """The mean QP of each channel, and the bytes per feature that it adds.

    The bits of a channel cannot be read from a stream. So some features are coded again with the channel set
    to the lowest value of the feature, which costs almost no bits and does not change the quantiser.
    """
    chosen = sorted({i * len(features) // _CHANNEL_FEATURES for i in range(_CHANNEL_FEATURES)})
    qps = np.array([_qps(one) for one in coder.payloads()])
    config = job.setting.config.but(batch=False, target_size=None, target_snr=None)
    added = np.array([_added(features[i], qps[i], config) for i in chosen])
    return {"qp": qps.mean(axis=0).tolist(), "bytes": added.mean(axis=0).tolist()}


def _qps(one: Any) -> npt.NDArray[np.float64]:
    eighths = one.parameters.qp_eighths or 0
    return np.asarray(channel_qps(one.fps, one.parameters) + eighths / 8)


def _added(
    feature: Array, qps: npt.NDArray[np.float64], config: refcodec.EncoderConfig
) -> list[int]:
    """Bytes of the payload that each channel adds."""
    qp = float(qps[0]) if len(set(qps)) == 1 else qps.astype(int).tolist()
    target = io.BytesIO()
    with refcodec.create(target, config) as writer:
        writer.write(feature, qp=qp)
        for channel in range(len(feature)):
            without = feature.copy()
            without[channel] = feature.min()
            writer.write(without, qp=qp)
    whole, *rest = (len(one.data) for one in payloads(target))
    return [whole - size for size in rest]
