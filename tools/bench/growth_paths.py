"""Paths through refcodec whose growth ``bench_growth.py`` fits, each measured in a process of its own.

    python tools/bench/growth_paths.py JOB

``JOB`` is a :class:`Job` as JSON; a :class:`growth_fit.Point` comes back on standard output as JSON.
Only public functions are called, so that the paths outlive a redesign of what is below them.
"""

from __future__ import annotations

import gc
import io
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1])]

from growth_fit import Point  # noqa: E402
from memory import peak, reset_peak  # noqa: E402

__all__ = ["PATHS", "Job", "Way", "measure", "write_stream"]

STREAMS = ("plain", "batches", "sequence")

LOOKS = 100
"""Features that are asked for by number, where their number does not grow."""

_RUNS = 5
_ENOUGH = 1.0
"""Seconds after which a run is not repeated."""

_WARM_UP = 8
"""Units of the stream that a path is tried on before it is timed."""

Action = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Job:
    """One measurement to make.

    path     : a key of ``PATHS``; or of ``STREAMS``, to write the stream and measure nothing.
    units    : units of the stream; of batches, features.
    folder   : place of the streams, and for what is written.
    elements : elements of a feature of a plain stream, a multiple of 16.
    gop      : features from one access point to the next in a sequence.
    """

    path: str
    units: int
    folder: str
    elements: int = 64
    gop: int = 64

    def stream(self, kind: str) -> Path:
        """Place of the stream of that kind with so many units."""
        return Path(self.folder, f"{kind}-{self.units}.dfc")


@dataclass(frozen=True, slots=True)
class Way:
    """A path: the stream that it takes, and what is done with it.

    prepare : does what does not count, and returns what does.
    """

    stream: str
    title: str
    prepare: Callable[[Job, str], Action]


# --- streams ---------------------------------------------------------------------------------------


def write_stream(job: Job, kind: str, target: Path) -> None:
    """Write a whole stream of a kind in ``STREAMS``."""
    writer = _filled(job, kind, target)
    writer.close()


def _filled(job: Job, kind: str, target: Path) -> Any:
    """A writer that was given all features of a stream."""
    import refcodec

    options: dict[str, dict[str, Any]] = {
        "plain": {"coder": "raw"},
        "batches": {"coder": "raw", "batch": True},
        "sequence": {"coder": "native", "gop": job.gop, "speed": "fast", "workers": 1},
    }
    writer = refcodec.create(target, exist_ok=True, **options[kind])
    for feature in _features(job, kind):
        writer.write(feature)
    return writer


def _features(job: Job, kind: str) -> Iterator[Any]:
    """float32 arrays, C x H x W, of batches D: noise that drifts from one feature to the next."""
    import numpy as np

    shape = {"plain": (job.elements // 16, 4, 4), "batches": (16,), "sequence": (2, 8, 8)}[kind]
    generator = np.random.default_rng(0)
    still, drift = (generator.standard_normal(shape, np.float32) for _ in range(2))
    several = [still + np.float32(0.01 * i) * drift for i in range(16)]
    for number in range(job.units):
        yield several[number % len(several)]


# --- what is done with them ------------------------------------------------------------------------


def _write(job: Job, kind: str) -> Action:
    return lambda: write_stream(job, kind, Path(job.folder, "written.dfc"))


def _close(job: Job, kind: str) -> Action:
    return _filled(job, kind, Path(job.folder, "written.dfc")).close  # type: ignore[no-any-return]


def _read(job: Job, kind: str) -> Action:
    import refcodec

    def read() -> None:
        with refcodec.open(job.stream(kind)) as reader:
            _require(sum(1 for _ in reader), job.units)

    return read


def _read_pipe(job: Job, kind: str) -> Action:
    import refcodec

    def read() -> None:
        command = [sys.executable, "-c", _FEEDER, str(job.stream(kind))]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as feeder:
            assert feeder.stdout is not None
            with refcodec.open(feeder.stdout) as reader:
                _require(sum(1 for _ in reader), job.units)

    return read


_FEEDER = "import shutil, sys; shutil.copyfileobj(open(sys.argv[1], 'rb'), sys.stdout.buffer)"


def _look_up(job: Job, kind: str, numbers: range | list[int]) -> Action:
    import refcodec

    def look_up() -> None:
        with refcodec.open(job.stream(kind)) as reader:
            _require(len(reader), job.units)
            for number in numbers:
                reader[number]

    return look_up


def _look_up_some(job: Job, kind: str) -> Action:
    return _look_up(job, kind, random.Random(0).choices(range(job.units), k=LOOKS))


def _look_up_all(job: Job, kind: str) -> Action:
    return _look_up(job, kind, range(job.units))


def _validate(job: Job, kind: str) -> Action:
    import refcodec

    def validate() -> None:
        report = refcodec.validate(job.stream(kind))
        _require(report.features if report.conforming else report.violations, job.units)

    return validate


def _inspect(job: Job, kind: str) -> Action:
    from refcodec.inspector import inspect_units  # refcodec.inspect, unit by unit

    def inspect() -> None:
        with job.stream(kind).open("rb") as source:
            for _ in inspect_units(source):
                pass

    return inspect


def _info(job: Job, kind: str) -> Action:
    from refcodec.cli import app

    def info() -> None:
        with redirect_stdout(io.StringIO()):
            app(["info", "--json", str(job.stream(kind))], standalone_mode=False)

    return info


def _require(found: object, wanted: int) -> None:
    if found != wanted:
        raise SystemExit(f"{found} instead of {wanted} features")


PATHS = {
    "writing": Way("plain", "write and close a file", _write),
    "closing": Way("plain", "close: the features that wait, index and end", _close),
    "reading": Way("plain", "every feature in order", _read),
    "pipe": Way("plain", "every feature in order, from a pipe", _read_pipe),
    "access": Way("plain", f"open, and {LOOKS} features by number", _look_up_some),
    "access-all": Way("plain", "every feature by number, in order", _look_up_all),
    "validating": Way("plain", "refcodec.validate", _validate),
    "inspecting": Way("plain", "every syntax element, unit by unit", _inspect),
    "info": Way("plain", "the command refcodec info", _info),
    "batch-writing": Way("batches", "write and close a file", _write),
    "batch-reading": Way("batches", "every feature in order", _read),
    "batch-access": Way("batches", "every feature by number, in order", _look_up_all),
    "batch-validating": Way("batches", "refcodec.validate", _validate),
    "sequence-writing": Way("sequence", "write and close a file", _write),
    "sequence-reading": Way("sequence", "every feature in order", _read),
    "sequence-access": Way("sequence", "every feature by number, in order", _look_up_all),
    "sequence-validating": Way("sequence", "refcodec.validate", _validate),
}
"""Paths to measure, by name; a *sequence* is predicted over time, *batches* are of vectors."""


# --- measuring -------------------------------------------------------------------------------------


def measure(job: Job) -> Point:
    """Time and memory of one path, after a warm-up that loads and compiles what it needs.

    Processor time is that of all threads of this process. What is short is measured up to five times.
    """
    way = PATHS[job.path]
    warm = replace(job, units=min(_WARM_UP, job.units), folder=str(Path(job.folder, "warm-up")))
    Path(warm.folder).mkdir(exist_ok=True)
    write_stream(warm, way.stream, warm.stream(way.stream))
    way.prepare(warm, way.stream)()
    runs: list[float] = []
    peaks: list[int] = []
    begin = time.monotonic()
    while not runs or (len(runs) < _RUNS and time.monotonic() - begin < _ENOUGH):
        action = way.prepare(job, way.stream)
        gc.collect()
        before, start = reset_peak(), time.process_time()
        action()
        runs.append(time.process_time() - start)
        peaks.append(max(0, peak() - before))
    return Point(job.units, round(median(runs), 6), peaks[0], len(runs))


def main() -> int:
    """Do the job on the command line."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    job = Job(**json.loads(sys.argv[1]))
    if job.path in STREAMS:
        write_stream(job, job.path, job.stream(job.path))
    else:
        print(json.dumps(asdict(measure(job))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
