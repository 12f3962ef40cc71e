"""One line for many seeds: a hash over the features of all streams drawn from them.

A decoder that prints the reference's line for 10,000 seeds decodes 10,000 streams as the reference does. The
line is SHA-256 over the SHA-256 of each stream's output, in the order of the seeds. Streams that the decoder
skips are left out of it, and it says how many it covers: it is not the reference's then.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path

from refcodec.errors import StreamError
from refcodec.hashes import little_endian_bytes
from refcodec.reader import open_stream
from refcodec.suite.drawn.stream import GENERATOR, draw_stream
from refcodec.suite.run.contract import Decoder
from refcodec.suite.run.contract import Outcome as Decoded
from refcodec.syntax.codes import Profile

__all__ = ["Outcome", "Task", "line_of", "outcomes", "reference_line"]

_CHUNK = 16


@dataclass(frozen=True)
class Task:
    """Streams to decode, and who does.

    decoder : a decoder under test; None for the one of refcodec.
    timeout : seconds for one stream.
    """

    profile: Profile
    level: int
    decoder: Decoder | None = None
    timeout: float = 60.0
    ffmpeg: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The output for one seed.

    sha256  : of the output; of nothing for a stream that was skipped.
    problem : why the output is not the expected one; '' if it is, or if there is none.
    skip    : why the decoder skipped the stream; '' if it did not.
    """

    seed: int
    sha256: bytes
    problem: str
    skip: str = ""


def outcomes(task: Task, seeds: range, workers: int = 1) -> Iterator[Outcome]:
    """Decode the streams of all seeds; yields their outcomes in order.

    workers : processes; one for a decoder that only this process can reach, such as a server.
    """
    one = partial(_outcome, task)
    if workers == 1:
        yield from map(one, seeds)
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"))
    try:
        yield from pool.map(one, seeds, chunksize=_CHUNK)
    finally:
        pool.shutdown(cancel_futures=True)


def line_of(task: Task, seeds: range, found: list[Outcome]) -> str:
    """The line of the outcomes for all seeds."""
    covered = [one.sha256 for one in found if not one.skip]
    part = "" if len(covered) == len(seeds) else f", {len(covered)} of {len(seeds)}"
    total = hashlib.sha256(b"".join(covered)).hexdigest()
    return f"{_words(task.profile, task.level, seeds)}{part}: {total}"


def reference_line(task: Task, seeds: range) -> str | None:
    """The line that refcodec has printed for these seeds, if it is among those kept."""
    text = (files(__package__) / "lines.toml").read_text(encoding="utf-8")
    words = _words(task.profile, task.level, seeds)
    found: dict[str, str] = tomllib.loads(text)["lines"]
    return f"{words}: {found[words]}" if words in found else None


def _words(profile: Profile, level: int, seeds: range) -> str:
    return (
        f"DFC streams {GENERATOR} profile {profile.name.lower()} level {level} "
        f"seeds {seeds.start}-{seeds.stop - 1}"
    )


def _outcome(task: Task, seed: int) -> Outcome:
    drawn = draw_stream(task.profile, task.level, seed, ffmpeg=task.ffmpeg)
    expected = b"".join(little_endian_bytes(values) for _, values in drawn.features)
    done = _decode(task, drawn.stream, len(expected))
    problem, skip, output = done.problem or "", done.skip or "", done.output
    if done.reject is not None:
        problem = f"rejected as {done.reject}"
    if not (problem or skip) and output != expected:
        more, fewer = len(output) > len(expected), len(output) < len(expected)
        how = "more than" if more else "fewer than" if fewer else "other values in"
        problem = f"{how} {len(expected)} bytes"
    return Outcome(seed, hashlib.sha256(output).digest(), problem, "" if problem else skip)


def _decode(task: Task, stream: bytes, expected: int) -> Decoded:
    if task.decoder is None:
        try:
            with open_stream(io.BytesIO(stream), ffmpeg=task.ffmpeg) as reader:
                return Decoded(output=b"".join(map(little_endian_bytes, reader)))
        except StreamError as error:
            return Decoded(problem=f"rejected: {error}")
    with tempfile.TemporaryDirectory(prefix="dfc-") as folder:
        path = Path(folder) / "stream.dfc"
        path.write_bytes(stream)
        return task.decoder.run(path, expected, task.timeout)
