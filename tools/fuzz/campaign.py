"""Workers that judge cases one after another, and what watches over them.

A worker is a process that prints a line for each case: its number, its cost, the findings. One that falls
silent hangs, one that ends has crashed; the next worker goes on after the case that did it.
"""

from __future__ import annotations

import json
import os
import queue
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mutations import Case, case
from verdicts import HIGHEST, SECONDS, Verdict, judge

__all__ = ["Tally", "run", "save", "work"]

_MEMORY = 4 << 30
"""Bytes of address space that a worker may take beyond its start: a finding must not take the machine."""

_START = 120.0
"""Seconds for a worker to start and to compile what it needs."""


@dataclass
class Tally:
    """What a campaign came to.

    inputs, refused : cases, and those of them that the decoder refused, by class of Annex D.
    peak, slowest   : most bytes that a case took; most seconds per megabyte of its stream, and in all.
    findings        : of each case that has some.
    """

    inputs: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    peak: int = 0
    slowest: float = 0.0
    longest: float = 0.0
    findings: dict[int, list[str]] = field(default_factory=dict)

    def add(self, number: int, size: int, verdict: Verdict) -> None:
        """Count a case."""
        self.inputs += 1
        self.refused[verdict.refused or "accepted"] += 1
        self.peak = max(self.peak, verdict.peak)
        self.longest = max(self.longest, verdict.seconds)
        self.slowest = max(self.slowest, verdict.seconds / max(size, 1) * 1e6)
        if verdict.findings:
            self.findings[number] = verdict.findings


def run(first: int, seed: int, seconds: float, most: int | None = None) -> Tally:
    """Judge the cases from ``first`` on, until the time is over or ``most`` are done."""
    tally, end = Tally(), time.monotonic() + seconds
    while time.monotonic() < end and (most is None or tally.inputs < most):
        left = None if most is None else most - tally.inputs
        for number, size, verdict in _worker(first + tally.inputs, seed, end, left):
            tally.add(number, size, verdict)
    return tally


def save(case: Case, findings: list[str], folder: Path) -> Path:
    """Write the stream of a finding, and a JSON of its edits beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{case.origin}-{case.number}.dfc"
    place.write_bytes(case.stream)
    about = {"origin": case.origin, "edits": case.edits, "findings": findings}
    place.with_suffix(".json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return place


def _worker(
    number: int, seed: int, end: float, most: int | None
) -> Iterator[tuple[int, int, Verdict]]:
    """Verdicts of one worker, until it ends, hangs, or the time is over."""
    program = Path(__file__).with_name("fuzz.py")
    command = [sys.executable, str(program), "--work", str(number)]
    command += ["--seed", str(seed), *(["--cases", str(most)] if most is not None else [])]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, text=True, start_new_session=True)
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    patience = _START + SECONDS[HIGHEST]
    try:
        while time.monotonic() < end:
            try:
                line = lines.get(timeout=min(patience, max(0.1, end - time.monotonic())))
            except queue.Empty:
                if time.monotonic() < end:
                    yield number, 0, Verdict([f"hang: no verdict within {patience:.0f} s"])
                return
            if not line:
                if process.wait():
                    yield (
                        number,
                        0,
                        Verdict([f"crash: the process ended with {process.returncode}"]),
                    )
                return
            found = json.loads(line)
            yield found["number"], found["size"], Verdict(**found["verdict"])
            number, patience = found["number"] + 1, 2 * SECONDS[HIGHEST]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _read(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line)
    lines.put("")


def work(first: int, seed: int, most: int | None) -> None:
    """Judge cases and print their verdicts: what a worker does, for ever or for so many."""
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + _MEMORY, resource.RLIM_INFINITY))
    number = first
    while most is None or number < first + most:
        one = case(number, seed)
        verdict: dict[str, Any] = asdict(judge(one.stream))
        print(
            json.dumps({"number": number, "size": len(one.stream), "verdict": verdict}), flush=True
        )
        number += 1
