"""Stores of features and other files: Parquet in, safetensors and Parquet out."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import CALL_AT_FAULT, run
from safetensors.numpy import load_file, save_file

zarr = pytest.importorskip("zarr", reason="zarr is not installed")
distributed = pytest.importorskip("distributed", reason="dask is not installed")

from refcodec import stores  # noqa: E402
from refcodec.errors import CallerError, StreamError  # noqa: E402
from refcodec.stores import StorePlan, exporting  # noqa: E402
from refcodec.stores.place import Place  # noqa: E402
from refcodec.stores.rows import open_rows  # noqa: E402

VECTORS = np.maximum(np.random.default_rng(0).normal(size=(50, 12)), 0).astype(np.float32)
MAPS = np.random.default_rng(1).normal(size=(9, 2, 3, 4)).astype(np.float16)


def stored(folder: Path, client: Any, values: Any, chunk: int) -> Path:
    """A store of values."""
    np.save(folder / "values.npy", values)
    plan = StorePlan(folder / "values.npy", folder / "a.zarr", chunk=chunk)
    stores.build(plan, client)
    return folder / "a.zarr"


# --- Parquet in ------------------------------------------------------------------------------------


def test_parquet_with_lists(tmp_path: Path, client: Any) -> None:
    """Embeddings as programs keep them: lists of a variable length, beside columns of other things."""
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    names = [f"image {number}" for number in range(50)]
    for kind in (arrow.list_(arrow.float32()), arrow.large_list(arrow.float32())):
        column = arrow.array(list(VECTORS), kind)
        parquet.write_table(
            arrow.table({"name": names, "embedding": column}), path, row_group_size=7
        )
        with open_rows(path) as rows:
            assert rows.shape == (50, 12)
            assert rows.dtype == np.float32
            for start, stop in [(0, 50), (3, 5), (6, 15), (14, 21), (49, 60), (50, 60)]:
                assert rows[start:stop].tobytes() == VECTORS[start:stop].tobytes()
    stores.build(StorePlan(path, tmp_path / "a.zarr", chunk=20), client)
    assert zarr.open_array(tmp_path / "a.zarr", mode="r")[:].tobytes() == VECTORS.tobytes()


@pytest.mark.parametrize("values", [VECTORS, MAPS])
def test_parquet_with_tensors(tmp_path: Path, values: Any) -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    column = arrow.FixedShapeTensorArray.from_numpy_ndarray(values)
    table = arrow.table({"x": column, "y": column})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=4)
    with open_rows(tmp_path / "a.parquet", "y") as rows:
        assert (rows.shape, rows.dtype) == (values.shape, values.dtype)
        assert rows[2:7].tobytes() == values[2:7].tobytes()
    with pytest.raises(CallerError, match="has the arrays x, y"), open_rows(tmp_path / "a.parquet"):
        pass


def test_parquet_without_rows(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    column = arrow.array([], arrow.list_(arrow.float32()))
    parquet.write_table(arrow.table({"x": column}), tmp_path / "a.parquet")
    with open_rows(tmp_path / "a.parquet") as rows:
        assert rows.shape == (0, 0)
        assert rows[0:5].shape == (0, 0)


def test_parquet_without_features(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(CallerError, match="is no Parquet"), open_rows(path):
        pass
    for other in ([1.0, 2.0], ["a", "b"], [["a"], ["b"]]):
        parquet.write_table(arrow.table({"x": other}), path)
        with pytest.raises(CallerError, match="has the arrays none"), open_rows(path):
            pass
    for uneven in (
        [[1.0, 2.0], [1.0]],
        [[1.0, 2.0], [1.0], [1.0, 2.0, 3.0]],
        [[1.0, 2.0], None],
        [None, [1.0, 2.0]],
        [[1.0, 2.0], [None, 2.0]],
    ):
        parquet.write_table(arrow.table({"x": uneven}), path)
        with (
            pytest.raises(CallerError, match="differ in length, or values"),
            open_rows(path) as rows,
        ):
            rows[0:2]
    parquet.write_table(arrow.table({"x": [[1.0, 2.0], [1.0]]}), path, row_group_size=1)
    with pytest.raises(CallerError, match="differ in length"), open_rows(path) as rows:
        rows[0:2]


# --- out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [VECTORS, MAPS])
def test_exported_to_safetensors(tmp_path: Path, client: Any, values: Any) -> None:
    store = stored(tmp_path, client, values, chunk=4)
    target = tmp_path / "a.safetensors"
    assert stores.export(store, target, client) == [target]
    (found,) = load_file(target).values()
    assert (found.shape, found.dtype) == (values.shape, values.dtype)
    assert found.tobytes() == values.tobytes()
    with open_rows(target) as rows:
        assert rows.shape == values.shape


@pytest.mark.parametrize("values", [VECTORS, MAPS])
def test_exported_to_parquet(tmp_path: Path, client: Any, values: Any) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    store = stored(tmp_path, client, values, chunk=4)
    target = tmp_path / "a.parquet"
    stores.export(store, target, client)
    with open_rows(target) as rows:
        assert (rows.shape, rows.dtype) == (values.shape, values.dtype)
        assert rows[:].tobytes() == values.tobytes()
    with parquet.ParquetFile(target) as file:
        assert file.metadata.num_row_groups == -(-len(values) // 4)
    flat = np.array(parquet.read_table(target)["features"].to_pylist(), values.dtype)
    assert flat.tobytes() == values.tobytes()


@pytest.mark.parametrize("suffix", ["safetensors", "parquet"])
def test_several_files_and_going_on(tmp_path: Path, client: Any, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    store = stored(tmp_path, client, VECTORS, chunk=4)
    target = tmp_path / f"a.{suffix}"
    steps: list[int] = []
    found = stores.export(store, target, client, features=15, progress=steps.append)
    assert [one.name for one in found] == [f"a-0000{n}-of-00004.{suffix}" for n in (1, 2, 3, 4)]
    assert steps == [1, 2, 3, 4]
    parts = []
    for path in found:
        with open_rows(path) as rows:
            parts.append(np.asarray(rows[:]))
    assert [len(one) for one in parts] == [16, 16, 16, 2]
    assert np.concatenate(parts).tobytes() == VECTORS.tobytes()
    found[1].unlink()
    before = [path.stat().st_mtime_ns for path in (found[0], *found[2:])]
    assert stores.export(store, target, client, features=16) == found
    assert [path.stat().st_mtime_ns for path in (found[0], *found[2:])] == before
    with open_rows(found[1]) as rows:
        assert rows[:].tobytes() == VECTORS[16:32].tobytes()
    other = {"x": VECTORS}
    save_file(other, found[2]) if suffix == "safetensors" else found[2].write_bytes(b"mine")
    kept = found[2].read_bytes()
    with pytest.raises(CallerError, match=r"1 files failed.*00003.*holds something else"):
        stores.export(store, target, client, features=16)
    assert found[2].read_bytes() == kept
    assert not list(tmp_path.glob(".*"))


def test_a_damaged_store_is_not_exported(tmp_path: Path, client: Any) -> None:
    store = stored(tmp_path, client, VECTORS, chunk=8)
    target = tmp_path / "a.safetensors"
    data = bytearray((store / "c/3/0").read_bytes())
    data[-20] ^= 1
    (store / "c/3/0").write_bytes(data)
    with pytest.raises(StreamError, match="c/3/0 has another SHA-256"):
        stores.export(store, target, client)
    assert not target.exists()
    assert not list(tmp_path.glob(".*"))
    manifest = store / "manifest.jsonl"
    lines = manifest.read_bytes().splitlines(keepends=True)
    manifest.write_bytes(b"".join(line for line in lines if b'"number": 3,' not in line))
    with pytest.raises(CallerError, match="is not whole: 1 of 7 chunks are missing"):
        stores.export(store, target, client)
    with pytest.raises(CallerError, match=r"neither \.safetensors nor \.parquet"):
        stores.export(store, tmp_path / "a.csv", client)
    with pytest.raises(CallerError, match="features is 0"):
        stores.export(stored_again(tmp_path, client), target, client, features=0)


def test_an_empty_store_is_not_exported(tmp_path: Path, client: Any) -> None:
    store = stored(tmp_path, client, VECTORS[:0], chunk=8)
    with pytest.raises(CallerError, match="has no features"):
        stores.export(store, tmp_path / "a.safetensors", client)


def stored_again(folder: Path, client: Any) -> Path:
    """The same store once more, elsewhere."""
    (folder / "b").mkdir()
    return stored(folder / "b", client, VECTORS, chunk=8)


def test_memory_is_that_of_a_chunk(tmp_path: Path, client: Any) -> None:
    """The peak of a file does not grow with it: 32 MiB pass through a few."""
    values = np.random.default_rng(0).integers(0, 3, (4096, 2048)).astype(np.float32)
    store = stored(tmp_path, client, values, chunk=64)
    found = stores.Manifest.load(store)
    assert found is not None
    part = exporting._Part(tmp_path / "a.safetensors", [found.entries[n] for n in range(64)])
    exporting._write(Place(store), found.facts, part._replace(entries=part.entries[:1]))
    part.path.unlink()
    tracemalloc.start()
    try:
        exporting._write(Place(store), found.facts, part)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert part.path.stat().st_size > values.nbytes
    assert peak < values.nbytes / 4


def test_command(tmp_path: Path, client: Any) -> None:
    store = stored(tmp_path, client, VECTORS, chunk=8)
    target = tmp_path / "a.safetensors"
    shown = run("store", "export", store, target, "--features", 30, "--workers", 1).stdout
    names = ["a-00001-of-00002.safetensors", "a-00002-of-00002.safetensors"]
    assert [Path(line).name for line in shown.splitlines()] == names
    assert [len(load_file(tmp_path / name)["features"]) for name in names] == [32, 18]
    facts = (tmp_path / names[0]).read_bytes()[8:]
    assert (
        "refcodec.chunks"
        in json.JSONDecoder().raw_decode(facts.decode("latin-1"))[0]["__metadata__"]
    )
    run("store", "export", store, target, "--storage", "nothing", status=CALL_AT_FAULT)
