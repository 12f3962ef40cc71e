"""Common parts of the tests: the machine, hypothesis without a clock, and streams taken apart."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import pytest
import variation
from hypothesis import HealthCheck, settings

from refcodec.syntax.structures import STREAM_HEADER_SIZE
from refcodec.syntax.units import build_unit, read_unit

variation.settle()

settings.register_profile(
    "refcodec", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("refcodec")


_SETTINGS = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a run in which a setting has no effect."""
    config.stash[_SETTINGS] = variation.in_force()


def pytest_report_header(config: pytest.Config) -> str:
    """The settings of this run."""
    return f"variation: {config.stash[_SETTINGS]}"


@pytest.fixture(autouse=True)
def _torch_keeps_its_threads() -> Iterator[None]:
    """An evaluation takes torch's threads away; the tests after it have them again."""
    yield
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != variation.threads():
        torch.set_num_threads(variation.threads())


@dataclass
class Parts:
    """A stream as its header and its (unit_type, payload) pairs, which a test may change."""

    header: bytes
    units: list[tuple[Any, bytes]]

    @classmethod
    def of(cls, data: bytes) -> Self:
        source, offset, units = io.BytesIO(data[STREAM_HEADER_SIZE:]), STREAM_HEADER_SIZE, []
        while unit := read_unit(source, offset, 1 << 32):
            units.append((unit.unit_type, unit.payload))
            offset = unit.end
        return cls(data[:STREAM_HEADER_SIZE], units)

    def join(self) -> bytes:
        """The stream again, with right sizes and CRCs."""
        return self.header + b"".join(build_unit(kind, payload) for kind, payload in self.units)

    def find(self, kind: int) -> int:
        """Position of the first unit of that type."""
        return next(i for i, (own, _) in enumerate(self.units) if own == kind)

    def change(self, kind: int, change: Callable[[bytes], bytes]) -> bytes:
        """The stream with the payload of the first unit of that type changed."""
        at = self.find(kind)
        self.units[at] = (kind, change(self.units[at][1]))
        return self.join()


@pytest.fixture(scope="session")
def take_apart() -> Callable[[bytes], Parts]:
    """``take_apart(data).join() == data``."""
    return Parts.of


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A client of a dask cluster of two threads, whose file system in memory is that of the tests."""
    distributed = pytest.importorskip("distributed", reason="dask is not installed")
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as found,
    ):
        yield found
    zarr.core.sync.cleanup_resources()


@pytest.fixture(scope="session")
def s3() -> Iterator[dict[str, Any]]:
    """Options of fsspec for a server of S3 that has the bucket ``features``.

    All servers of moto in one process serve the same buckets, so there is one server, and each test
    writes under a name of its own.
    """
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    servers = pytest.importorskip("moto.server", reason="moto, with its server, is not installed")
    server = servers.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        access = {"key": "k", "secret": "s", "endpoint_url": f"http://{host}:{port}"}
        s3fs.S3FileSystem(**access).mkdir("features")
        yield access
    finally:
        server.stop()
