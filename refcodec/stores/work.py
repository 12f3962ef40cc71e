"""Building and verifying of stores: a task of dask for each chunk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from refcodec.chunks import ChunkCoder
from refcodec.errors import CallerError, DFCError, EnvironmentFault
from refcodec.stores.manifest import Entry, Manifest
from refcodec.stores.place import Location, Place
from refcodec.stores.plan import StorePlan
from refcodec.stores.rows import open_rows

__all__ = [
    "Fault",
    "build",
    "cluster",
    "entry_of",
    "fault_of",
    "manifest_of",
    "outcomes",
    "raise_first",
    "verify",
]

_AT_A_TIME = 2000
"""Tasks that a scheduler holds at most: with more it slows down."""

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

    _require_shared(plan, client)
    with open_rows(plan.source, plan.array, plan.source_storage) as rows:
        shape, dtype = tuple(map(int, rows.shape)), np.dtype(rows.dtype)
    options = ChunkCoder(plan.options or {}).options
    facts = {
        "source": Place(plan.source).path.name,
        "array": plan.array,
        "shape": list(shape),
        "dtype": dtype.name,
        "chunk": plan.chunk,
        "options": dict(options),
    }
    manifest = Manifest.at(plan.place)
    if manifest is None:
        if plan.place.holds_anything():
            raise CallerError(
                f"{plan.target} is there, and has no manifest", hint="choose another folder"
            )
        with plan.place.blamed():
            zarr.create_array(
                **plan.place.array,
                shape=shape,
                dtype=dtype,
                chunks=(plan.chunk, *shape[1:]),
                **encoding(**options),
            )
        manifest = Manifest.begin(plan.place, facts)
    manifest.continues(facts)
    numbers = [n for n in range(-(-shape[0] // plan.chunk)) if n not in manifest.entries]
    done, failed = len(manifest.entries), []
    try:
        for number, outcome in outcomes(client, partial(_build, plan), numbers, retries):
            if isinstance(outcome, Entry):
                manifest.add(outcome)
                done += 1
                if progress is not None:
                    progress(done)
            else:
                failed.append((number, outcome))
    finally:
        manifest.keep()
    raise_first(failed, "chunks")
    return manifest


def verify(
    store: Location,
    client: Any,
    *,
    decode: bool = False,
    options: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> list[Fault]:
    """Compare a store with its manifest; returns the chunks that differ.

    store    : path or URL.
    decode   : true to decode each chunk, too.
    options  : of the file system, of a URL alone.
    progress : called with the number of chunks that were looked at.

    Raises CallerError where there is no manifest.
    """
    manifest = manifest_of(Place(store, options))
    whole = -(-manifest.facts["shape"][0] // manifest.facts["chunk"])
    missing = [Fault(_key(n, manifest.facts["shape"]), "was not built") for n in range(whole)]
    found = [one for n, one in enumerate(missing) if n not in manifest.entries]
    check = partial(fault_of, manifest.place, decode)
    looked_at = outcomes(client, check, list(manifest.entries.values()), 0)
    for done, (entry, outcome) in enumerate(looked_at, 1):
        if outcome is not None:
            found.append(Fault(entry.key, str(outcome)))
        if progress is not None:
            progress(done)
    return sorted(found)


def manifest_of(place: Place) -> Manifest:
    """The manifest of a store. Raises CallerError where there is none."""
    found = Manifest.at(place)
    if found is None:
        raise CallerError(f"{place} has no manifest", hint="was it made by refcodec store build?")
    return found


def raise_first(failed: list[tuple[Any, Any]], what: str) -> None:
    """Raise the error of the first of some items that failed, if any did.

    failed : each item by what it is ordered by, and its error.
    what   : the name of the items, in the plural.
    """
    if not failed:
        return
    item, error = min(failed, key=lambda one: one[0])
    where = f"{len(failed)} {what} failed; the first one is {what.removesuffix('s')} {item}"
    if isinstance(error, DFCError):
        raise type(error)(f"{where}: {error.what}", hint=error.hint)
    raise EnvironmentFault(f"{where}: {error}", hint="try again: what is done stays")


def outcomes(
    client: Any, task: Callable[[Any], Any], items: list[Any], retries: int
) -> Iterator[tuple[Any, Any]]:
    """Each item with what the task returned or raised for it, as they are done."""
    from distributed import as_completed

    rest = iter(items)
    given: dict[Any, Any] = {}
    completed = as_completed()

    def give(count: int) -> None:
        if some := list(islice(rest, count)):
            futures = client.map(task, some, retries=retries, pure=False)
            given.update(zip(futures, some, strict=True))
            completed.update(futures)

    give(_AT_A_TIME)
    for future in completed:
        item = given.pop(future)
        yield item, future.exception() if future.status == "error" else future.result()
        if len(given) <= _AT_A_TIME // 2:
            give(_AT_A_TIME - len(given))


def _require_shared(plan: StorePlan, client: Any) -> None:
    """Raise CallerError for a file system in the memory of one process, and workers that are others."""
    of_memory = [one for one in map(str, (plan.source, plan.target)) if one.startswith("memory://")]
    if of_memory and not client.scheduler.address.startswith("inproc://"):
        raise CallerError(
            f"{of_memory[0]} is in the memory of this process, which workers do not see",
            hint="name a folder, or give a client of dask with processes=False",
        )


# --- on a worker -----------------------------------------------------------------------------------


def _build(plan: StorePlan, number: int) -> Entry:
    """Build a chunk, whatever is there already."""
    import zarr

    with open_rows(plan.source, plan.array, plan.source_storage) as rows:
        start, stop = number * plan.chunk, min((number + 1) * plan.chunk, int(rows.shape[0]))
        values, shape = np.asarray(rows[start:stop]), list(rows.shape)
    with zarr.config.set({"array.write_empty_chunks": True}):
        zarr.open_array(**plan.place.array, mode="r+")[start:stop] = values
    return entry_of(plan.place, number, shape)


def entry_of(place: Place, number: int, shape: list[int]) -> Entry:
    """The entry of a chunk as it is in the store."""
    key = _key(number, shape)
    data = place.read(key)
    return Entry(number, key, len(data), hashlib.sha256(data).hexdigest())


def fault_of(place: Place, decode: bool, entry: Entry) -> str | None:
    """Say what is wrong with a chunk; None where nothing is."""
    try:
        data = place.read(entry.key)
    except OSError:
        return "is missing"
    if len(data) != entry.size:
        return f"has {len(data)} bytes, not {entry.size}"
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        return "has another SHA-256"
    if decode:
        import zarr

        array = zarr.open_array(**place.array, mode="r")
        length = array.chunks[0]
        try:
            array[entry.number * length : (entry.number + 1) * length]
        except DFCError as error:
            return f"does not decode: {error}"
    return None


def _key(number: int, shape: list[int]) -> str:
    """The key of a chunk in a store of zarr, format 3."""
    return "/".join(["c", str(number), *["0"] * (len(shape) - 1)])
