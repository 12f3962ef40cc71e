"""Runs of the jobs of an experiment in parallel processes; a run continues an earlier one."""

from __future__ import annotations

import shutil
import signal
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from refcodec.errors import DFCError
from refcodec.evaluate.plan import Job, Place, code_digest
from refcodec.files import storage_error

__all__ = ["Failure", "Folders", "missing", "run"]


@dataclass(frozen=True)
class Folders:
    """Folders for the results of an experiment; they may be deleted, and are then made again.

    output   : tables and plots.
    features : a folder per place.
    jobs     : the result of each job.
    """

    output: Path

    @property
    def features(self) -> Path:
        """The folder of features, with a folder per place."""
        return self.output / "features"

    @property
    def jobs(self) -> Path:
        """The folder of results, with a ``.json`` and an ``.npz`` per job."""
        return self.output / "jobs"

    def make(self) -> None:
        """Make the folders, and remove the rest of an interrupted run. Raises CallerError."""
        try:
            for folder in (self.features, self.jobs):
                folder.mkdir(parents=True, exist_ok=True)
                for unfinished in folder.glob(".*"):
                    remove = shutil.rmtree if unfinished.is_dir() else Path.unlink
                    remove(unfinished)
        except OSError as error:
            raise storage_error(error, self.output) from None


@dataclass(frozen=True)
class Failure:
    """A job, or an extraction of features, that failed.

    name   : name of the job or the place.
    reason : one line.
    trace  : traceback; empty for errors of refcodec.
    """

    name: str
    reason: str
    trace: str = ""


def missing(jobs: Sequence[Job], folders: Folders, *, keep_old: bool = False) -> list[Job]:
    """The jobs without a result.

    keep_old : true to accept results of other versions of the code.
    """
    from refcodec.evaluate.features import load_features
    from refcodec.evaluate.job import load_result

    def done(job: Job) -> bool:
        found, result = load_features(job.place, folders.features), load_result(job, folders.jobs)
        if found is None or result is None:
            return False
        return keep_old or result["code"] == code_digest()

    return [job for job in jobs if not done(job)]


def run(
    jobs: Sequence[Job],
    folders: Folders,
    *,
    workers: int = 1,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Failure]:
    """Run jobs, after extracting the features that they need; the others go on if one fails.

    folders  : folders that no other run uses at the same time.
    workers  : processes, each on one thread; with one, the jobs run in this process.
    progress : called with the number of jobs that have ended.

    Returns the failures. A KeyboardInterrupt passes through; finished results stay.
    """
    folders.make()
    from refcodec.evaluate.features import load_features

    def done(place: Place) -> bool:
        found = load_features(place, folders.features)
        return found is not None and found.facts["code"] == code_digest("models")

    wanted = [
        place for place in {job.place.slug: job.place for job in jobs}.values() if not done(place)
    ]
    failures = _run_all([(_extract, place, folders) for place in wanted], workers)
    lost = {failure.name for failure in failures}
    able = [job for job in jobs if job.place.name not in lost]
    before = len(jobs) - len(able)
    failures += _run_all(
        [(_measure, job, folders) for job in able], workers, lambda done: progress(before + done)
    )
    return failures


def _extract(place: Place, folders: Folders) -> Failure | None:
    from refcodec.evaluate.features import extract

    return _guarded(place.name, lambda: extract(place, folders.features))


def _measure(job: Job, folders: Folders) -> Failure | None:
    from refcodec.evaluate.job import measure

    return _guarded(job.name, lambda: measure(job, folders.features, folders.jobs))


def _guarded(name: str, action: Callable[[], None]) -> Failure | None:
    """Run an action, and turn an error into a Failure so that others can go on."""
    try:
        action()
    except DFCError as error:
        return Failure(name, str(error))
    except Exception as error:
        return Failure(name, f"{type(error).__name__}: {error}", traceback.format_exc())
    return None


Task = tuple[Callable[[Any, Folders], Failure | None], Any, Folders]


def _run_all(
    tasks: Sequence[Task], workers: int, progress: Callable[[int], None] = lambda done: None
) -> list[Failure]:
    """Run tasks in processes of their own, or with one worker in this one.

    Returns those that failed, in the order given.
    """
    failures: dict[int, Failure] = {}
    if workers == 1:
        _use_one_thread()
        for number, (work, subject, folders) in enumerate(tasks):
            if failure := work(subject, folders):
                failures[number] = failure
            progress(number + 1)
        return list(failures.values())
    # Spawned, not forked: torch and numba do not support a fork of a process with threads.
    executor = ProcessPoolExecutor(workers, get_context("spawn"), _start_worker)
    try:
        futures = {
            executor.submit(work, subject, folders): (number, subject.name)
            for number, (work, subject, folders) in enumerate(tasks)
        }
        for done, future in enumerate(as_completed(futures), 1):
            number, name = futures[future]
            if failure := _result(future, name):
                failures[number] = failure
            progress(done)
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    executor.shutdown()
    return [failures[number] for number in sorted(failures)]


def _result(future: Future[Failure | None], name: str) -> Failure | None:
    try:
        return future.result()
    except BrokenProcessPool:
        return Failure(name, "a worker process died, perhaps for lack of memory; try fewer workers")


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it at once and silently
    _use_one_thread()


def _use_one_thread() -> None:
    """Restrict torch to one thread, as each worker has one processor; kernels use one anyway."""
    import torch

    torch.set_num_threads(1)
