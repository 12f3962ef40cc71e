"""Parametrises tests over the vectors of the suite, by id and name."""

from __future__ import annotations

from pathlib import Path

import pytest

from refcodec.suite.manifest import Manifest, load_manifest

SUITE = load_manifest(Path(__file__).resolve().parents[1] / "bitstreams")


@pytest.fixture(scope="session")
def suite() -> Manifest:
    return SUITE


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for name, decoders in (
        ("vector", {"accept", "reject", "either"}),
        ("accepted", {"accept", "either"}),
        ("rejected", {"reject"}),
    ):
        if name in metafunc.fixturenames:
            chosen = [vector for vector in SUITE.vectors if vector.decoder in decoders]
            assert chosen, "the suite has no such vectors"
            ids = [f"{vector.id}-{vector.name}" for vector in chosen]
            metafunc.parametrize(name, chosen, ids=ids)
