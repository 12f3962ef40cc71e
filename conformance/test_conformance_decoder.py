"""The decoder of refcodec against every vector: the hash of every stage, or the class of the error."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
import pytest
from variation import PATIENCE

import refcodec
from refcodec.errors import reject_classes
from refcodec.hashes import little_endian_bytes
from refcodec.suite.derive import released_features, syntax_hash
from refcodec.suite.manifest import Manifest, Vector
from refcodec.suite.run.contract import BuiltIn
from refcodec.suite.run.runner import judge


def test_runner_passes_built_in_decoder(suite: Manifest, vector: Vector) -> None:
    result = judge(vector, suite.path(vector), BuiltIn(), PATIENCE)
    assert (result.status, result.reason) == ("pass", "")


def test_stages(suite: Manifest, accepted: Vector) -> None:
    if accepted.decoder == "either" and not accepted.syntax:
        pytest.skip("this decoder refuses it, for a unit that others pass over")
    stream = suite.path(accepted).read_bytes()
    assert syntax_hash(stream) == accepted.syntax
    assert tuple(released_features(stream)) == accepted.features


_LED_ASTRAY = {
    "hevc-false-access-point",
    "index-elsewhere",
    "index-missing",
    "index-offset",
    "index-parameter-sets-swapped",
    "index-twice",
}


def test_features_by_number(suite: Manifest, accepted: Vector) -> None:
    if accepted.name in _LED_ASTRAY or not accepted.syntax:
        pytest.skip("the way to single features is wrong, on purpose")
    with refcodec.open(suite.path(accepted)) as reader:
        assert len(reader) == len(accepted.features)
        for number in reversed(range(len(reader))):
            feature, promised = reader[number], accepted.features[number]
            assert (feature.shape, str(feature.dtype)) == (promised.shape, promised.dtype)
            found = hashlib.sha256(little_endian_bytes(feature)).hexdigest()
            assert found == promised.reconstruction


def test_rejected_from_a_file(suite: Manifest, rejected: Vector) -> None:
    """Features released before the error, if any, are those that the manifest allows."""
    assert rejected.violation is not None
    released: list[np.ndarray[Any, Any]] = []
    stream = io.BytesIO(suite.path(rejected).read_bytes())
    allowed = (rejected.violation.reject, *rejected.violation.also)
    with pytest.raises(tuple(reject_classes()[name] for name in allowed)):
        # extend() would ask a reader for its length, and thus read the index
        released.extend(iter(refcodec.open(stream)))
    hashes = [hashlib.sha256(little_endian_bytes(one)).hexdigest() for one in released]
    assert hashes == [one.reconstruction for one in rejected.features[: len(hashes)]]
