"""Building and verifying of stores: a task of dask for each chunk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from refcodec.chunks import ChunkCoder
from refcodec.errors import CallerError, DFCError, EnvironmentFault
from refcodec.stores.manifest import Entry, Manifest
from refcodec.stores.plan import StorePlan
from refcodec.stores.rows import open_rows

__all__ = ["Fault", "build", "cluster", "entry_of", "verify"]

_AT_A_TIME = 1000
"""Tasks that a scheduler is given at a time: with more it slows down."""

Progress = Callable[[int], None]


class Fault(NamedTuple):
    """A chunk that is not as the manifest says, and why."""

    key: str
    what: str


@contextmanager
def cluster(address: str | None = None, workers: int = 2) -> Iterator[Any]:
    """A client of a dask cluster: of the one at an address, or of processes on this machine.

    address : of the scheduler, ``tcp://host:8786``; its workers see the files under the same paths.
    workers : processes, where there is no address.

    Raises EnvironmentFault where zarr or dask is missing, or the scheduler does not answer.
    """
    try:
        import zarr  # noqa: F401 - the tasks need it
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise EnvironmentFault(
            f"stores are zarr arrays built by dask: {error}", hint="pip install 'refcodec[stores]'"
        ) from None
    if address is None:
        with (
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address="127.0.0.1:0",
            ) as local,
            Client(local) as client,
        ):
            yield client
        return
    try:
        client = Client(address, timeout=10)
    except (OSError, TimeoutError, ValueError) as error:
        raise EnvironmentFault(f"the scheduler {address} does not answer: {error}") from None
    with client:
        yield client


def build(
    plan: StorePlan, client: Any, *, retries: int = 2, progress: Progress | None = None
) -> Manifest:
    """Build what is missing of a store; returns its manifest.

    client   : of `cluster`.
    retries  : times that a chunk is tried again, on any worker.
    progress : called with the number of chunks that are done.

    Raises CallerError where the store was begun with another source or other options, or the source is none;
    the error of the first chunk that failed, once all others are done.
    """
    import zarr

    from refcodec.zarr import encoding

    with open_rows(plan.source, plan.array) as rows:
        shape, dtype = tuple(map(int, rows.shape)), np.dtype(rows.dtype)
    options = ChunkCoder(plan.options or {}).options
    facts = {
        "source": plan.source.name,
        "array": plan.array,
        "shape": list(shape),
        "dtype": dtype.name,
        "chunk": plan.chunk,
        "options": dict(options),
    }
    manifest = Manifest.load(plan.target)
    if manifest is None:
        if plan.target.exists() and any(plan.target.iterdir()):
            raise CallerError(
                f"{plan.target} is there, and has no manifest", hint="choose another folder"
            )
        zarr.create_array(
            plan.target,
            shape=shape,
            dtype=dtype,
            chunks=(plan.chunk, *shape[1:]),
            **encoding(**options),
        )
        manifest = Manifest.begin(plan.target, facts)
    manifest.continues(facts)
    numbers = [n for n in range(-(-shape[0] // plan.chunk)) if n not in manifest.entries]
    done, failed = len(manifest.entries), []
    for number, outcome in _outcomes(client, partial(_build, plan), numbers, retries):
        if isinstance(outcome, Entry):
            manifest.add(outcome)
            done += 1
            if progress is not None:
                progress(done)
        else:
            failed.append((number, outcome))
    if failed:
        number, error = min(failed, key=lambda one: one[0])
        where = f"{len(failed)} chunks failed; the first one is chunk {number}"
        if isinstance(error, DFCError):
            raise type(error)(f"{where}: {error.what}", hint=error.hint)
        raise EnvironmentFault(f"{where}: {error}", hint="build again: what is done stays")
    return manifest


def verify(
    store: Path, client: Any, *, decode: bool = False, progress: Progress | None = None
) -> list[Fault]:
    """Compare a store with its manifest; returns the chunks that differ.

    decode   : true to decode each chunk, too.
    progress : called with the number of chunks that were looked at.

    Raises CallerError where there is no manifest.
    """
    manifest = Manifest.load(store)
    if manifest is None:
        raise CallerError(f"{store} has no manifest", hint="was it made by refcodec store build?")
    whole = -(-manifest.facts["shape"][0] // manifest.facts["chunk"])
    missing = [Fault(_key(n, manifest.facts["shape"]), "was not built") for n in range(whole)]
    found = [one for n, one in enumerate(missing) if n not in manifest.entries]
    check = partial(_verify, store, decode)
    outcomes = _outcomes(client, check, list(manifest.entries.values()), 0)
    for done, (entry, outcome) in enumerate(outcomes, 1):
        if outcome is not None:
            found.append(Fault(entry.key, str(outcome)))
        if progress is not None:
            progress(done)
    return sorted(found)


def _outcomes(
    client: Any, task: Callable[[Any], Any], items: list[Any], retries: int
) -> Iterator[tuple[Any, Any]]:
    """Each item with what the task returned or raised for it, as they are done."""
    from distributed import as_completed

    for start in range(0, len(items), _AT_A_TIME):
        some = items[start : start + _AT_A_TIME]
        futures = client.map(task, some, retries=retries, pure=False)
        of = dict(zip(futures, some, strict=True))
        for future in as_completed(futures):
            yield of[future], future.exception() if future.status == "error" else future.result()


# --- on a worker -----------------------------------------------------------------------------------


def _build(plan: StorePlan, number: int) -> Entry:
    """Build a chunk, whatever is there already."""
    import zarr

    with open_rows(plan.source, plan.array) as rows:
        start, stop = number * plan.chunk, min((number + 1) * plan.chunk, int(rows.shape[0]))
        values, shape = np.asarray(rows[start:stop]), list(rows.shape)
    with zarr.config.set({"array.write_empty_chunks": True}):
        zarr.open_array(plan.target, mode="r+")[start:stop] = values
    return entry_of(plan.target, number, shape)


def entry_of(store: Path, number: int, shape: list[int]) -> Entry:
    """The entry of a chunk as it is in the store."""
    key = _key(number, shape)
    data = (store / key).read_bytes()
    return Entry(number, key, len(data), hashlib.sha256(data).hexdigest())


def _verify(store: Path, decode: bool, entry: Entry) -> str | None:
    """Say what is wrong with a chunk; None where nothing is."""
    try:
        data = (store / entry.key).read_bytes()
    except OSError:
        return "is missing"
    if len(data) != entry.size:
        return f"has {len(data)} bytes, not {entry.size}"
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        return "has another SHA-256"
    if decode:
        import zarr

        array = zarr.open_array(store, mode="r")
        length = array.chunks[0]
        try:
            array[entry.number * length : (entry.number + 1) * length]
        except DFCError as error:
            return f"does not decode: {error}"
    return None


def _key(number: int, shape: list[int]) -> str:
    """The key of a chunk in a store of zarr, format 3."""
    return "/".join(["c", str(number), *["0"] * (len(shape) - 1)])
