"""Stores of features by dask: built on, verified, and what is wrong with them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import CALL_AT_FAULT, INPUT_AT_FAULT, run
from safetensors.numpy import save_file

zarr = pytest.importorskip("zarr", reason="zarr is not installed")
distributed = pytest.importorskip("distributed", reason="dask is not installed")

import refcodec  # noqa: E402
from refcodec import stores  # noqa: E402
from refcodec.errors import CallerError, EnvironmentFault  # noqa: E402
from refcodec.stores import Manifest, StorePlan, work  # noqa: E402
from refcodec.stores.rows import open_rows  # noqa: E402

VECTORS = np.maximum(np.random.default_rng(0).normal(size=(50, 12)), 0).astype(np.float32)
VECTORS[16:24] = 0  # a chunk that zarr itself would leave out


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A cluster of two processes."""
    with stores.cluster(workers=2) as found:
        yield found
    zarr.core.sync.cleanup_resources()


@pytest.fixture
def plan(tmp_path: Path) -> StorePlan:
    np.save(tmp_path / "features.npy", VECTORS)
    return StorePlan(tmp_path / "features.npy", tmp_path / "a.zarr", chunk=8)


def read(path: Path) -> Any:
    return zarr.open_array(path, mode="r")[:]


# --- building --------------------------------------------------------------------------------------


def test_a_store_is_an_array_and_its_manifest(plan: StorePlan, client: Any) -> None:
    steps: list[int] = []
    manifest = stores.build(plan, client, progress=steps.append)
    assert steps == [1, 2, 3, 4, 5, 6, 7]
    assert read(Path(plan.target)).tobytes() == VECTORS.tobytes()
    assert sorted(manifest.entries) == list(range(7))
    assert manifest.facts == {
        "source": "features.npy",
        "array": "",
        "shape": [50, 12],
        "dtype": "float32",
        "chunk": 8,
        "options": {"coder": "native-lossless"},
    }
    for entry in manifest.entries.values():
        assert refcodec.validate(Path(plan.target) / entry.key).conforming
    assert Manifest.load(plan.target) == manifest
    assert stores.verify(plan.target, client, decode=True) == []


def test_a_build_goes_on_where_it_was(plan: StorePlan, client: Any) -> None:
    stores.build(plan, client)
    path = Path(plan.target) / "manifest.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]) + lines[4][:20])  # killed within a line
    kept = {json.loads(line)["number"] for line in lines[1:4]}
    before = {n: (Path(plan.target) / f"c/{n}/0").stat().st_mtime_ns for n in range(7)}
    steps: list[int] = []
    manifest = stores.build(plan, client, progress=steps.append)
    assert steps == [4, 5, 6, 7]
    after = {n: (Path(plan.target) / f"c/{n}/0").stat().st_mtime_ns for n in range(7)}
    assert {n for n in range(7) if before[n] == after[n]} == kept
    assert Manifest.load(plan.target) == manifest
    assert read(Path(plan.target)).tobytes() == VECTORS.tobytes()
    assert stores.build(plan, client, progress=steps.append).entries == manifest.entries
    assert len(steps) == 4


@pytest.mark.parametrize("at_a_time", [1, 2, 3, 6, 7])
def test_a_scheduler_holds_few_tasks(at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Further tasks follow as others are done: all of them, each once, and never more than are let."""
    held: set[Any] = set()
    most = [0]

    class Client:
        """Counts the tasks that it holds, and does them at once."""

        def map(self, task: Any, items: list[int], **_: Any) -> list[Any]:
            made = [Future(task(item)) for item in items]
            held.update(made)
            most[0] = max(most[0], len(held))
            return made

    class Future:
        status = "finished"

        def __init__(self, found: int) -> None:
            self._found = found

        def result(self) -> int:
            held.remove(self)
            return self._found

    class Completed:
        def __init__(self) -> None:
            self._waiting: list[Future] = []

        def update(self, futures: list[Future]) -> None:
            self._waiting += futures

        def __iter__(self) -> Iterator[Future]:
            while self._waiting:
                yield self._waiting.pop()

    monkeypatch.setattr(work, "_AT_A_TIME", at_a_time)
    monkeypatch.setattr(distributed, "as_completed", Completed)
    found = dict(work.outcomes(Client(), lambda item: 10 * item, list(range(7)), 0))
    assert found == {n: 10 * n for n in range(7)}
    assert most == [min(at_a_time, 7)]
    assert not held


def test_chunks_beyond_the_first_tasks(
    plan: StorePlan, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "_AT_A_TIME", 3)
    assert sorted(stores.build(plan, client).entries) == list(range(7))
    assert stores.verify(plan.target, client) == []


def test_building_again_gives_the_same_bytes(plan: StorePlan, client: Any) -> None:
    first = stores.build(plan, client)
    second = stores.build(replace(plan, target=Path(plan.target).with_name("b.zarr")), client)
    assert first.entries == second.entries


def test_a_chunk_that_fails_is_tried_again_and_the_others_are_built(
    plan: StorePlan, client: Any, tmp_path: Path
) -> None:
    given = VECTORS.copy()
    given[20, 3] = np.nan
    np.save(plan.source, given)
    lossy = replace(plan, options={"coder": "native", "qp": 20})
    with pytest.raises(CallerError, match=r"1 chunks failed; the first one is chunk 2: .*NaN"):
        stores.build(lossy, client, retries=1)
    found = Manifest.load(plan.target)
    assert found is not None
    assert sorted(found.entries) == [0, 1, 3, 4, 5, 6]
    assert stores.verify(plan.target, client) == [("c/2/0", "was not built")]
    np.save(plan.source, VECTORS)
    stores.build(lossy, client)
    assert stores.verify(plan.target, client) == []


def test_a_store_of_something_else_is_not_gone_on_with(plan: StorePlan, client: Any) -> None:
    stores.build(plan, client)
    for change in ({"chunk": 4}, {"options": {"coder": "zlib"}}):
        with pytest.raises(CallerError, match=f"begun with another {next(iter(change))}"):
            stores.build(replace(plan, **change), client)
    (Path(plan.target) / "manifest.jsonl").unlink()
    with pytest.raises(CallerError, match="has no manifest"):
        stores.build(plan, client)
    with pytest.raises(CallerError, match="has no manifest"):
        stores.verify(plan.target, client)


# --- sources ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(9, 5), (9, 2, 3, 4)])
def test_sources(tmp_path: Path, shape: tuple[int, ...]) -> None:
    given = np.random.default_rng(1).normal(size=shape).astype(np.float16)
    np.save(tmp_path / "a.npy", given)
    save_file({"x": given, "y": given[:0]}, tmp_path / "a.safetensors")
    zarr.create_array(tmp_path / "a.zarr", data=given)
    zarr.open_group(tmp_path / "g.zarr").create_array("x", data=given)
    for name, array in {"a.npy": "", "a.safetensors": "x", "a.zarr": "", "g.zarr": "x"}.items():
        with open_rows(tmp_path / name, array) as rows:
            assert tuple(rows.shape) == shape
            assert np.dtype(rows.dtype) == np.float16
            assert np.array_equal(rows[2:5], given[2:5])


@pytest.mark.parametrize("shape", [(9, 5), (9, 2, 3, 4)])
def test_sources_of_hdf5(tmp_path: Path, shape: tuple[int, ...]) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    given = np.random.default_rng(1).normal(size=shape).astype(np.float16)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=given, chunks=(4, *shape[1:]), compression="gzip")
        file.create_group("nothing")
    with open_rows(tmp_path / "a.h5") as rows:
        assert (tuple(rows.shape), rows.dtype) == (shape, np.float16)
        assert np.array_equal(rows[2:7], given[2:7])
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["y"] = given[:, 0]
    with pytest.raises(CallerError, match="has the arrays x, y"), open_rows(tmp_path / "a.h5"):
        pass
    (tmp_path / "bad.hdf5").write_bytes(b"no arrays")
    with pytest.raises(CallerError, match="is no HDF5"), open_rows(tmp_path / "bad.hdf5"):
        pass


def test_a_store_of_hdf5(tmp_path: Path, client: Any) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = VECTORS
    plan = StorePlan(tmp_path / "a.h5", tmp_path / "a.zarr", array="x", chunk=20)
    stores.build(plan, client)
    assert read(tmp_path / "a.zarr").tobytes() == VECTORS.tobytes()


def test_a_library_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library, extra, name in [("h5py", "hdf5", "a.h5"), ("pyarrow", "parquet", "a.parquet")]:
        (tmp_path / name).touch()
        for module in (library, f"{library}.parquet"):
            monkeypatch.setitem(sys.modules, module, None)
        with (
            pytest.raises(EnvironmentFault, match=rf"{library} is not.*refcodec\[{extra}\]"),
            open_rows(tmp_path / name),
        ):
            pass


def test_maps_are_built_from_safetensors(tmp_path: Path, client: Any) -> None:
    given = np.random.default_rng(1).normal(size=(9, 2, 3, 4)).astype(np.float32)
    save_file({"x": given}, tmp_path / "a.safetensors")
    plan = StorePlan(tmp_path / "a.safetensors", tmp_path / "b.zarr", chunk=4)
    assert sorted(one.key for one in stores.build(plan, client).entries.values()) == [
        f"c/{n}/0/0/0" for n in range(3)
    ]
    assert np.array_equal(read(Path(plan.target)), given)


def test_sources_that_are_none(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros(5))
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    save_file({"x": np.zeros((2, 2)), "y": np.zeros((2, 2))}, tmp_path / "a.safetensors")
    (tmp_path / "bad.npy").write_bytes(b"no array")
    (tmp_path / "bad.safetensors").write_bytes(b"no tensors")
    zarr.open_group(tmp_path / "g.zarr").create_array("x", data=np.zeros((2, 2)))
    for name, what in [
        ("nowhere.npy", "there is no"),
        ("one.npy", "features are N x D"),
        ("objects.npy", "is no array of numpy"),
        ("bad.npy", "is no array of numpy"),
        ("bad.safetensors", "is no .safetensors"),
        ("a.safetensors", "has the arrays x, y"),
        ("g.zarr", "is a group: name one of x"),
    ]:
        with pytest.raises(CallerError, match=what), open_rows(tmp_path / name):
            pass
    (tmp_path / "a.csv").touch()
    with pytest.raises(CallerError, match=r"is none of \.npy"), open_rows(tmp_path / "a.csv"):
        pass


# --- verifying -------------------------------------------------------------------------------------


def test_every_change_is_found(plan: StorePlan, client: Any) -> None:
    stores.build(plan, client)
    chunks = [Path(plan.target) / f"c/{n}/0" for n in range(7)]
    chunks[0].unlink()
    data = bytearray(chunks[1].read_bytes())
    data[-20] ^= 1
    chunks[1].write_bytes(data)
    os.truncate(chunks[5], 30)
    faults = stores.verify(plan.target, client)
    assert [one.key for one in faults] == ["c/0/0", "c/1/0", "c/5/0"]
    assert [one.what for one in faults[:2]] == ["is missing", "has another SHA-256"]
    assert faults[2].what.startswith("has 30 bytes, not ")


def test_a_chunk_that_was_wrong_from_the_start(plan: StorePlan, client: Any) -> None:
    """What is hashed as it is, but does not decode, is found by decoding."""
    manifest = stores.build(plan, client)
    chunk = Path(plan.target) / "c/3/0"
    chunk.write_bytes(b"nothing")
    manifest.add(work.entry_of(plan.place, 3, [50, 12]))
    assert stores.verify(plan.target, client) == []
    (fault,) = stores.verify(plan.target, client, decode=True)
    assert fault.key == "c/3/0"
    assert "does not decode" in fault.what


@pytest.mark.parametrize(
    "text", [b"no JSON\n", b"[]\n", b'{"shape": [1]}\n{"key": 1}\n', b"\xff\n"]
)
def test_manifests_that_are_none(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "manifest.jsonl").write_bytes(text)
    with pytest.raises(CallerError, match="is no manifest"):
        Manifest.load(tmp_path)


# --- the command line ------------------------------------------------------------------------------


def test_commands(tmp_path: Path, client: Any) -> None:
    np.save(tmp_path / "features.npy", VECTORS)
    config = tmp_path / "store.toml"
    config.write_text(
        '[source]\npath = "features.npy"\n[store]\npath = "a.zarr"\nchunk = 20\n[encoder]\ncoder = "zlib"\n'
    )
    address = client.scheduler.address
    found = run("store", "build", config, "--cluster", address).stdout
    assert "a.zarr: 50 features in 3 chunks, " in found
    assert read(tmp_path / "a.zarr").tobytes() == VECTORS.tobytes()
    store = tmp_path / "a.zarr"
    assert "as the manifest says" in run("store", "verify", store, "--cluster", address).stdout
    (store / "c/1/0").unlink()
    found = run("store", "verify", store, "--cluster", address, status=INPUT_AT_FAULT).stdout
    assert found == "c/1/0 is missing\n"
    run("store", "build", config, "--set", "store.chunks=3", status=CALL_AT_FAULT)
    run("store", "build", config, "--set", "store.chunk=0", status=CALL_AT_FAULT)
    run("store", "build", config, "--set", "encoder.coder=nothing", status=CALL_AT_FAULT)


def test_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(EnvironmentFault, match=r"pip install 'refcodec\[stores\]'"),
        stores.cluster(),
    ):
        pass


def test_a_scheduler_that_is_not_there() -> None:
    with pytest.raises(EnvironmentFault, match="does not answer"), stores.cluster("nonsense://"):
        pass
