"""Fuzzing guided by coverage: atheris keeps the streams that reach new code, and edits them on."""

from __future__ import annotations

import hashlib
import random
import sys
import tempfile
from pathlib import Path

from campaign import save
from mutations import Case, mutate, seeds
from verdicts import judge

__all__ = ["run_guided"]


def run_guided(minutes: float, seed: int, folder: Path) -> int:
    """Fuzz for so long; does not return but by ending the process, as libFuzzer does.

    Returns 2 where atheris is not installed.
    """
    try:
        import atheris
    except ImportError:
        print("--guided needs atheris: pip install atheris", file=sys.stderr)
        return 2

    def edit(data: bytes, most: int, number: int) -> bytes:
        return mutate(data, random.Random(number))[0][:most]

    def test(data: bytes) -> None:
        verdict = judge(data)
        if verdict.findings:
            number = int.from_bytes(hashlib.sha256(data).digest()[:4], "big")
            place = save(Case(number, "guided", [], data), verdict.findings, folder)
            print(place, *verdict.findings, sep="\n  ", flush=True)

    atheris.instrument_all()
    with tempfile.TemporaryDirectory() as corpus:
        for name, stream in seeds().items():
            if not name.startswith("hevc"):
                (Path(corpus) / name).write_bytes(stream)
        options = [f"-max_total_time={60 * minutes:.0f}", f"-seed={seed}", "-timeout=120"]
        atheris.Setup([sys.argv[0], corpus, *options], test, custom_mutator=edit)
        atheris.Fuzz()
    return 0
