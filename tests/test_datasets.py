"""Data sets of torch: by number and in ranges, in forked and spawned workers, over several files."""

from __future__ import annotations

import gc
import pickle
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streams import stream_of

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, StackDataset  # noqa: E402

from refcodec.errors import CallerError, StreamError  # noqa: E402
from refcodec.torch import FeatureDataset, FeatureStream  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

FEATURES = np.random.default_rng(0).normal(size=(50, 2, 4, 4)).astype(np.float32)
CUTS = (0, 20, 20, 47, 50)
"""Numbers of the first features of four files, of which one has none."""

WORKERS = [
    pytest.param({}, id="none"),
    pytest.param({"num_workers": 2, "multiprocessing_context": "fork"}, id="fork"),
    pytest.param(
        {"num_workers": 2, "multiprocessing_context": "spawn"}, id="spawn", marks=pytest.mark.slow
    ),
]

DESCRIPTORS = Path("/proc/self/fd")


def open_files() -> int:
    return sum(1 for _ in DESCRIPTORS.iterdir())


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    found = []
    for number, coder in enumerate(("raw", "raw", "native-lossless", "zlib")):
        own = FEATURES[CUTS[number] : CUTS[number + 1]]
        found.append(tmp_path / f"{number}.dfc")
        found[-1].write_bytes(stream_of(own, coder=coder))
    return found


def numbers_of(batch: Any) -> list[int]:
    """The numbers of features, which come back bit for bit."""
    known = {one.tobytes(): number for number, one in enumerate(FEATURES)}
    return [known[one.numpy().tobytes()] for one in batch]


def loaded(dataset: Any, **options: Any) -> list[int]:
    """The numbers of all features, in the order in which a loader gives them."""
    return [number for batch in DataLoader(dataset, **options) for number in numbers_of(batch)]


# --- by number -------------------------------------------------------------------------------------


def test_by_number(paths: list[Path]) -> None:
    dataset = FeatureDataset(paths)
    assert len(dataset) == 50
    assert isinstance(dataset[0], torch.Tensor)
    assert numbers_of([dataset[19], dataset[20], dataset[-1]]) == [19, 20, 49]
    assert numbers_of(dataset[[48, 3, 20, 3, 46]]) == [48, 3, 20, 3, 46]
    assert loaded(dataset, batch_size=7) == list(range(50))
    assert numbers_of(dataset[18:22]) == [18, 19, 20, 21]
    twice = dataset[[7, 7]]
    twice[0].zero_()
    assert numbers_of([twice[1], dataset[7]]) == [7, 7]
    with pytest.raises(IndexError, match="feature 50 of 50"):
        dataset[50]
    assert len(list(dataset)) == 50  # a loop by numbers ends


def test_one_file(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(paths[0].parent)
    dataset = FeatureDataset("0.dfc")
    monkeypatch.chdir("/")
    assert numbers_of(dataset) == list(range(20))


@pytest.mark.parametrize("options", WORKERS)
def test_loader(paths: list[Path], options: dict[str, Any]) -> None:
    dataset = FeatureDataset(paths)
    found = loaded(dataset, batch_size=7, shuffle=True, **options)
    assert found != sorted(found) == list(range(50))


def test_labels_beside_features(paths: list[Path]) -> None:
    both = StackDataset(FeatureDataset(paths), torch.arange(50))
    for batch, labels in DataLoader(both, batch_size=9, shuffle=True):
        assert numbers_of(batch) == labels.tolist()


@pytest.mark.parametrize("kind", [FeatureDataset, FeatureStream])
def test_each_worker_opens_files_for_itself(paths: list[Path], kind: Any) -> None:
    dataset = kind(paths[:1])
    first = next(iter(dataset))  # this process has the file open now, and keeps it
    assert len(pickle.dumps(dataset)) < 5000
    paths[0].unlink()
    assert numbers_of([first, next(iter(dataset))]) == [0, 0]
    loader = DataLoader(dataset, num_workers=1, multiprocessing_context="fork")
    with pytest.raises(Exception, match=r"0\.dfc"):
        next(iter(loader))


def test_a_file_that_has_changed(paths: list[Path]) -> None:
    dataset = FeatureDataset(paths)
    paths[3].write_bytes(stream_of(FEATURES[:5], coder="raw"))
    assert numbers_of([dataset[40]]) == [40]
    with pytest.raises(CallerError, match=r"3\.dfc has 5 features, and had 3"):
        dataset[48]


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="open files are counted in /proc")
def test_many_files(tmp_path: Path) -> None:
    data = [stream_of(FEATURES[n : n + 1], coder="raw") for n in range(50)]
    paths = []
    for number in range(150):
        paths.append(tmp_path / f"{number}.dfc")
        paths[-1].write_bytes(data[number % 50])
    gc.collect()  # what earlier tests left open may not close in between
    before = open_files()
    dataset = FeatureDataset(paths)
    assert numbers_of(dataset) == 3 * list(range(50))
    assert 0 < open_files() - before <= 64
    del dataset
    assert open_files() == before


def test_refusals(paths: list[Path], tmp_path: Path) -> None:
    with pytest.raises(CallerError, match="there are no files"):
        FeatureDataset([])
    for other in (None, 3, paths[0].read_bytes(), [None]):
        with pytest.raises(CallerError, match="is no path of a file, and no list of paths"):
            FeatureDataset(other)  # type: ignore[arg-type]
    with pytest.raises(CallerError, match=r"none\.dfc"):
        FeatureDataset(tmp_path / "none.dfc")
    bad = tmp_path / "bad.dfc"
    bad.write_bytes(b"no stream")
    with pytest.raises(StreamError):
        FeatureDataset([*paths, bad])
    with pytest.raises(CallerError, match="length is 0"):
        FeatureStream(paths, length=0)
    with pytest.raises(CallerError, match="rank is 2; it is 0 to 1, of 2"):
        FeatureStream(paths, rank=2, ranks=2)


# --- in ranges -------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", WORKERS)
def test_stream(paths: list[Path], options: dict[str, Any]) -> None:
    found = loaded(FeatureStream(paths, shuffle=True, length=8), batch_size=4, **options)
    assert found != sorted(found) == list(range(50))


def test_stream_in_order(paths: list[Path]) -> None:
    stream = FeatureStream(paths, length=8)
    assert loaded(stream, batch_size=4) == list(range(50))
    first, second = (stream_share(stream, worker) for worker in range(2))
    assert first == [n for n in range(50) if n // 8 % 2 == 0]
    assert second == [n for n in range(50) if n // 8 % 2]


def stream_share(stream: FeatureStream, worker: int) -> list[int]:
    """The numbers of features that one of two workers gives; a loader takes their batches in turn."""
    loader = DataLoader(stream, batch_size=8, num_workers=2, multiprocessing_context="fork")
    return [number for batch in islice(loader, worker, None, 2) for number in numbers_of(batch)]


def test_order_of_an_epoch(paths: list[Path]) -> None:
    stream = FeatureStream(paths, shuffle=True, length=8)
    first = numbers_of(stream)
    ranges = [one // 8 for one in first]
    assert sum(one != other for one, other in pairwise(ranges)) == 6
    assert ranges != sorted(ranges)
    assert first[:8] != sorted(first[:8])
    stream.set_epoch(1)
    assert numbers_of(stream) != first
    assert numbers_of(FeatureStream(paths, shuffle=True, length=8, seed=1)) != first
    stream.set_epoch(0)
    assert numbers_of(stream) == first
    assert numbers_of(pickle.loads(pickle.dumps(stream))) == first


def test_workers_that_stay_take_note_of_an_epoch(paths: list[Path]) -> None:
    stream = FeatureStream(paths, shuffle=True, length=8)
    loader = DataLoader(
        stream, num_workers=2, multiprocessing_context="fork", persistent_workers=True
    )
    epochs = []
    for epoch in (0, 1, 0):
        stream.set_epoch(epoch)
        epochs.append([number for batch in loader for number in numbers_of(batch)])
    assert epochs[0] == epochs[2] != epochs[1]
    assert sorted(epochs[1]) == list(range(50))


def test_ranks_share_an_epoch(paths: list[Path]) -> None:
    shares = [
        loaded(
            FeatureStream(paths, shuffle=True, length=8, rank=rank, ranks=3),
            num_workers=rank,
            **({"multiprocessing_context": "fork"} if rank else {}),
        )
        for rank in range(3)
    ]
    assert sorted(chain(*shares)) == list(range(50))
    assert all(shares)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="pinned memory needs a GPU")
def test_pinned_memory(paths: list[Path]) -> None:
    for batch in DataLoader(FeatureDataset(paths), batch_size=10, num_workers=2, pin_memory=True):
        assert batch.is_pinned()
        assert torch.equal(batch.cuda().cpu(), batch)
