"""Stores of features on object stores, by fsspec: in memory, and by S3 on loopback."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import INPUT_AT_FAULT, run

zarr = pytest.importorskip("zarr", reason="zarr is not installed")
distributed = pytest.importorskip("distributed", reason="dask is not installed")
fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")

from refcodec import stores  # noqa: E402
from refcodec.errors import CallerError, EnvironmentFault  # noqa: E402
from refcodec.stores import Manifest, StorePlan, manifest  # noqa: E402
from refcodec.stores.place import Place  # noqa: E402
from refcodec.stores.rows import open_rows  # noqa: E402

VECTORS = np.maximum(np.random.default_rng(0).normal(size=(50, 12)), 0).astype(np.float32)

_numbers = itertools.count()


@pytest.fixture(params=["memory", "s3"])
def plan(tmp_path: Path, request: pytest.FixtureRequest) -> StorePlan:
    """A plan whose store is elsewhere."""
    np.save(tmp_path / "features.npy", VECTORS)
    options = request.getfixturevalue("s3") if request.param == "s3" else None
    target = f"{request.param}://features/{next(_numbers)}.zarr"
    return StorePlan(tmp_path / "features.npy", target, chunk=8, storage=options)


def test_built_and_verified(plan: StorePlan, client: Any, tmp_path: Path) -> None:
    made = stores.build(plan, client)
    assert zarr.open_array(**plan.place.array, mode="r")[:].tobytes() == VECTORS.tobytes()
    assert Manifest.load(plan.target, plan.storage) == made
    faults = stores.verify(plan.target, client, decode=True, options=plan.storage)
    assert faults == []
    local = stores.build(replace(plan, target=tmp_path / "a.zarr", storage=None), client)
    assert made.entries == local.entries


def test_a_build_goes_on(
    plan: StorePlan, client: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The manifest is written anew as chunks are done, and once more when a build fails."""
    kept: list[int] = []
    keep = Manifest.keep
    monkeypatch.setattr(manifest, "_KEPT_EVERY", 0.0)

    def noted(one: Manifest) -> None:
        kept.append(len(one.entries))
        keep(one)

    monkeypatch.setattr(Manifest, "keep", noted)
    given = VECTORS.copy()
    given[20, 3] = np.nan
    np.save(plan.source, given)
    lossy = replace(plan, options={"coder": "native", "qp": 20})
    with pytest.raises(CallerError, match="the first one is chunk 2"):
        stores.build(lossy, client)
    assert kept == [0, 1, 2, 3, 4, 5, 6, 6]
    found = Manifest.load(plan.target, plan.storage)
    assert found is not None
    assert sorted(found.entries) == [0, 1, 3, 4, 5, 6]
    faults = stores.verify(plan.target, client, options=plan.storage)
    assert faults == [("c/2/0", "was not built")]
    np.save(plan.source, VECTORS)
    steps: list[int] = []
    stores.build(lossy, client, progress=steps.append)
    assert steps == [7]
    with pytest.raises(CallerError, match="begun with another chunk"):
        stores.build(replace(lossy, chunk=4), client)


@pytest.mark.parametrize("suffix", ["npy", "zarr", "h5", "parquet"])
@pytest.mark.parametrize("protocol", ["memory", "s3"])
def test_sources(suffix: str, protocol: str, tmp_path: Path, request: Any, client: Any) -> None:
    """A source that is elsewhere gives the store that the same file gives here."""
    options = request.getfixturevalue("s3") if protocol == "s3" else None
    path, url = tmp_path / f"a.{suffix}", f"{protocol}://features/{next(_numbers)}.{suffix}"
    if suffix == "npy":
        np.save(path, VECTORS)
    elif suffix == "zarr":
        zarr.create_array(path, data=VECTORS, chunks=(20, 12))
    elif suffix == "h5":
        h5py = pytest.importorskip("h5py", reason="h5py is not installed")
        with h5py.File(path, "w") as file:
            file["x"] = VECTORS
    else:
        arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(arrow.table({"x": list(VECTORS)}), path, row_group_size=16)
    fsspec.filesystem(protocol, **(options or {})).put(str(path), url, recursive=True)
    here = stores.build(StorePlan(path, tmp_path / "here.zarr", chunk=8), client)
    there = StorePlan(url, tmp_path / "there.zarr", chunk=8, source_storage=options)
    assert stores.build(there, client).entries == here.entries
    assert zarr.open_array(there.target, mode="r")[:].tobytes() == VECTORS.tobytes()


def test_sources_that_are_none(tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    for name, array in [("columns", np.asfortranarray(VECTORS)), ("single", VECTORS[0])]:
        np.save(tmp_path / "a.npy", array)
        files.pipe_file(f"/none/{name}.npy", (tmp_path / "a.npy").read_bytes())
    np.save(tmp_path / "a.npy", VECTORS)
    files.pipe_file("/none/short.npy", (tmp_path / "a.npy").read_bytes()[:-1])
    np.save(tmp_path / "a.npy", np.array([[{}]], object), allow_pickle=True)
    files.pipe_file("/none/objects.npy", (tmp_path / "a.npy").read_bytes())
    files.pipe_file("/none/bad.npy", b"no array")
    files.pipe_file("/none/a.safetensors", b"no tensors")
    for name, what in [
        ("nowhere.npy", "there is no memory://none/nowhere.npy"),
        ("columns.npy", "is in Fortran's order"),
        ("single.npy", "features are N x D"),
        ("short.npy", "cut off after 2399 bytes of 2400"),
        ("objects.npy", "holds objects"),
        ("bad.npy", "is no array of numpy"),
        ("a.safetensors", "are read from paths"),
        ("a.csv", r"is none of \.npy"),
    ]:
        with pytest.raises(CallerError, match=what), open_rows(f"memory://none/{name}"):
            pass
    with pytest.raises(CallerError, match="takes no options"):
        StorePlan(tmp_path / "a.npy", tmp_path / "a.zarr", source_storage={"key": "k"})


def test_what_was_lost_or_changed_is_found(plan: StorePlan, client: Any) -> None:
    stores.build(plan, client)
    data = bytearray(plan.place.read("c/1/0"))
    data[-20] ^= 1
    plan.place.write("c/1/0", bytes(data))
    plan.place.write("c/5/0", b"short")
    with plan.place._system() as (system, root):
        system.rm(f"{root}/c/0/0")
    faults = stores.verify(plan.target, client, options=plan.storage)
    assert [one.key for one in faults] == ["c/0/0", "c/1/0", "c/5/0"]
    assert [one.what for one in faults[:2]] == ["is missing", "has another SHA-256"]
    assert faults[2].what.startswith("has 5 bytes, not ")


def test_what_is_there_stays(plan: StorePlan, client: Any) -> None:
    plan.place.write("c/0/0", b"mine")
    with pytest.raises(CallerError, match="is there, and has no manifest"):
        stores.build(plan, client)
    with pytest.raises(CallerError, match="has no manifest"):
        stores.verify(plan.target, client, options=plan.storage)
    assert plan.place.read("c/0/0") == b"mine"


def test_processes_and_commands(s3: dict[str, Any], tmp_path: Path) -> None:
    """By a cluster of processes, from the command line, with a plan that names the bucket."""
    np.save(tmp_path / "features.npy", VECTORS)
    config = tmp_path / "store.toml"
    options = "".join(f'{key} = "{value}"\n' for key, value in s3.items())
    config.write_text(
        '[source]\npath = "features.npy"\n[store]\npath = "s3://features/command.zarr"\nchunk = 20\n'
        f'[store.options]\n{options}[encoder]\ncoder = "zlib"\n'
    )
    made = run("store", "build", config, "--workers", 1).stdout
    assert "s3://features/command.zarr: 50 features in 3 chunks" in made
    chosen = [word for key, value in s3.items() for word in ("--storage", f"{key}={value}")]
    store = "s3://features/command.zarr"
    run("store", "verify", store, "--workers", 1, "--decode", *chosen)
    place = Place(store, s3)
    place.write("c/1/0", b"")
    shown = run("store", "verify", store, "--workers", 1, *chosen, status=INPUT_AT_FAULT).stdout
    assert shown.startswith("c/1/0 has 0 bytes")


def test_places_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(CallerError, match="takes no options"):
        StorePlan(tmp_path / "a.npy", tmp_path / "a.zarr", storage={"key": "k"})
    with pytest.raises(EnvironmentFault, match="nothing://a cannot be used"):
        Manifest.load("nothing://a")


def test_a_server_that_is_not_there(s3: dict[str, Any]) -> None:
    closed = {
        **s3,
        "endpoint_url": "http://127.0.0.1:9",
        "config_kwargs": {"retries": {"max_attempts": 0}},
    }
    with pytest.raises(EnvironmentFault, match="s3://features/a cannot be used"):
        Manifest.load("s3://features/a", closed)
