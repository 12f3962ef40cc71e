#!/usr/bin/env python3
"""Score the conformance suite: how many small mistakes in the decoder do its vectors find?

    python tools/mutate/mutate.py                        all mutants, on two processors; half an hour
    python tools/mutate/mutate.py --page                 likewise, and write docs/results/mutation.rst
    python tools/mutate/mutate.py --verify               likewise, those of equivalent.toml included: an hour
    python tools/mutate/mutate.py --only 'pack.py:*'     the mutants of some functions, as FILE:NAME
    python tools/mutate/mutate.py --sample 200 --seed 7  some
    python tools/mutate/mutate.py --branches             conditions that no vector decides both ways
    python tools/mutate/mutate.py --kept FILE            keep verdicts: the next run takes minutes

A mutant is killed by the first vector whose verdict is not that of the manifest: features, or the class of a
rejection. Code that decoding reaches is judged by decoding alone; the rest by the strict validator. A mutant
that does not end is killed, too.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from forks import run
from judging import PATHS, Trial, install, limit, load_trials, preload, swap, warm_up
from kept_verdicts import LIMIT, Verdicts
from mutants import Explained, Mutant, all_mutants
from probes import Map
from reach import Reach, measure
from score_page import write_page
from targets import Module, Target, files_with_constants_of, modules, targets

VALIDATED = {
    "syntax/hevc.py",
    "syntax/annexb.py",
    "syntax/av1.py",
    "syntax/obu.py",
    "stream/versions.py",
    "stream/index.py",
    "coders/av1/checks.py",
    "coders/hevc/checks.py",
}
"""Modules whose declarations the validator judges, too: it alone reads what they describe."""


SLOW = 0.3
MANY = 100
"""Vectors that take more seconds than ``SLOW`` are used only where few others reach the code."""


@dataclass
class Score:
    """The results so far.

    killed   : by a vector; name of the vector, or 'limit' where the mutant did not end.
    survived : mutants that all vectors pass.
    """

    killed: list[tuple[Mutant, str]] = field(default_factory=list)
    survived: list[Mutant] = field(default_factory=list)
    equivalent: list[tuple[Mutant, str]] = field(default_factory=list)
    unreached: list[tuple[Mutant, str]] = field(default_factory=list)
    gaps: list[tuple[str, str]] = field(default_factory=list)
    branches: tuple[int, int] = (0, 0)
    stale: list[str] = field(default_factory=list)
    seconds: float = 0.0


def reached_declaration(target: Target, trials: int, reach: Reach, probed: Map) -> list[int]:
    """The trials that read a structure, or that reach a file in which a constant may be used."""
    if target.name in reach.records:
        return reach.records[target.name]
    if not target.is_constant:
        return list(range(trials))
    files = files_with_constants_of(target.module, probed.modules)
    near = [n for n, one in enumerate(probed.starts) if one.target.module.file in files]
    return sorted({trial for piece in near for trial in reach.pieces.get(piece, [])})


def order_of(
    mutant: Mutant,
    trials: list[Trial],
    reach: Reach,
    probed: Map,
    recent: dict[object, list[int]],
) -> list[int]:
    """The trials that may kill a mutant: those that did so near it first, then quick ones."""
    if mutant.piece is not None:
        numbers = reach.pieces.get(mutant.piece, [])
        paths = {trials[n].path for n in numbers}
        path = "decode" if "decode" in paths else "validate"
        numbers = [n for n in numbers if trials[n].path == path]
    else:
        both = mutant.target.module.file in VALIDATED
        declared = reached_declaration(mutant.target, len(trials), reach, probed)
        numbers = [n for n in declared if both or trials[n].path == "decode"]
    if len(numbers) > MANY:
        numbers = [n for n in numbers if reach.seconds[n] < SLOW]
    first = [n for n in recent.get(mutant.target.node, []) if n in set(numbers)]
    quick = sorted(set(numbers) - set(first), key=lambda n: (trials[n].path, reach.seconds[n]))
    return first + quick


IMPORTED = {"cosine_basis"}
"""Functions whose results modules keep."""


def is_quick(mutant: Mutant) -> bool:
    """True for a mutant of a function that can be replaced in modules that are loaded."""
    return mutant.target.is_function and mutant.target.name not in IMPORTED


def judge(
    chosen: list[Mutant],
    trials: list[Trial],
    reach: Reach,
    probed: Map,
    explained: Explained,
    verdicts: Verdicts,
    workers: int,
    quiet: bool,
) -> Score:
    """Judge mutants, several at a time."""
    score, start = Score(), time.monotonic()
    recent: dict[object, list[int]] = {}

    def work(mutant: Mutant) -> str:
        numbers = verdicts.order(mutant, order_of(mutant, trials, reach, probed, recent))
        mutant.apply()
        module = mutant.target.module
        if not is_quick(mutant):
            install({module.name: module.tree}, {module.name: str(module.path)})
        else:
            try:
                swap(module.name, mutant.target.name, str(module.path), module.tree)
            except SyntaxError:
                return "stillborn"
        for number in numbers:
            limit(1.0 + 8 * reach.seconds[number])
            if not trials[number].passes():
                return str(number)
        return "survived"

    def jobs() -> Iterator[Mutant]:
        yield from (one for one in chosen if not is_quick(one))
        if any(map(is_quick, chosen)):
            warm_up(trials)  # from here on, forked processes have refcodec
        yield from filter(is_quick, chosen)

    def note(mutant: Mutant, name: str) -> None:
        if name:
            score.killed.append((mutant, name.partition(" ")[2] or name))
        elif reason := explained.of_mutant(mutant):
            score.equivalent.append((mutant, reason))
        else:
            score.survived.append(mutant)
            print("survived:", mutant.name, flush=True)

    for mutant in chosen:
        if (name := verdicts.of(mutant)) is not None:
            note(mutant, name)
    chosen = [one for one in chosen if verdicts.of(one) is None]
    done = 0
    for mutant, text in run(jobs(), work, workers):
        done += 1
        if text == "stillborn":
            continue
        if text is not None and text.startswith("!"):
            raise SystemExit(f"{mutant.name}\n{text}")
        name = LIMIT
        if text == "survived":
            name = ""
        elif text is not None:
            near = recent.setdefault(mutant.target.node, [])
            number = int(text)
            near[:] = [number, *(n for n in near if n != number)][:5]
            name = verdicts.names[number]
        verdicts.add(mutant, name)
        note(mutant, name)
        if done % 250 == 0:
            verdicts.write()
            if not quiet:
                print(f"{done} of {len(chosen)}, {time.monotonic() - start:.0f} s", flush=True)
    verdicts.write()
    score.seconds = time.monotonic() - start
    return score


def missing_branches(probed: Map, reach: Reach, explained: Explained) -> Iterator[tuple[str, str]]:
    """Outcomes of conditions, and pieces, that no vector reaches; with the reason, '' for none."""
    decided = reach.decided["decode"] | reach.decided["validate"]
    for number, one in enumerate(probed.conditions):
        for outcome in (True, False):
            if (number, outcome) not in decided:
                place = f"{one.target.module.file}:{one.line} {one.target.name}: {one.text}"
                reason = explained.of_condition(one, str(outcome).lower())
                yield f"{place} is never {str(outcome).lower()}", reason
    for number, one in enumerate(probed.starts):
        if number not in reach.pieces:
            place = f"{one.target.module.file}:{one.line} {one.target.name}: {one.text}"
            yield f"{place} is never reached", explained.of_condition(one, "reached")


def select(found: list[Mutant], chosen: argparse.Namespace) -> list[Mutant]:
    """The mutants that the command line asks for."""
    if chosen.only:
        found = [
            one
            for one in found
            if any(
                fnmatch.fnmatchcase(f"{one.target.module.file}:{one.target.name}", pattern)
                for pattern in chosen.only
            )
        ]
    if chosen.sample and chosen.sample < len(found):
        found = random.Random(chosen.seed).sample(found, chosen.sample)
    return found


def main() -> int:
    """Run the command line; returns 1 for a low score, or a branch without a reason."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", action="append", help="FILE:NAME, a pattern; repeatable")
    parser.add_argument("--sample", type=int, help="judge so many mutants only")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--workers", type=int, default=2, help="processes at a time")
    parser.add_argument("--at-least", type=float, default=98, help="percentage to be killed")
    parser.add_argument("--branches", action="store_true", help="judge no mutants")
    parser.add_argument("--page", action="store_true", help="write docs/results/mutation.rst")
    parser.add_argument("--verify", action="store_true", help="judge equivalent mutants, too")
    parser.add_argument("--map", type=Path, help="file that keeps the map of coverage between runs")
    parser.add_argument("--kept", type=Path, help="file that keeps verdicts between runs")
    parser.add_argument("--quiet", action="store_true", help="print no progress")
    chosen = parser.parse_args()
    preload()
    looked: dict[str, Module] = modules()
    found = targets(looked)
    probed, trials = Map(looked, found), load_trials()
    reach = measure(trials, looked, probed, chosen.workers, chosen.map)
    unreached, equivalent = Explained("unreached.toml"), Explained("equivalent.toml")
    gaps = list(missing_branches(probed, reach, unreached))
    for place, reason in gaps:
        if not reason:
            print("no vector:", place)
    if chosen.branches:
        return int(any(not reason for _, reason in gaps))
    judged, silent, known = [], [], []
    every = list(all_mutants(found, probed))
    for one in select(every, chosen):
        reason = ""
        if one.piece is not None and one.piece not in reach.pieces:
            reason = unreached.of_condition(probed.starts[one.piece], "reached")
        if reason:
            silent.append((one, reason))
        elif not chosen.verify and (reason := equivalent.of_mutant(one)):
            known.append((one, reason))
        else:
            judged.append(one)
    verdicts = Verdicts(chosen.kept, trials, looked)
    score = judge(judged, trials, reach, probed, equivalent, verdicts, chosen.workers, chosen.quiet)
    score.equivalent += known
    score.unreached, score.gaps = silent, gaps
    outcomes = 2 * len(probed.conditions) + len(probed.starts)
    score.branches = outcomes - len(gaps), outcomes
    whole = not (chosen.only or chosen.sample)
    score.stale = [json.dumps(one) for one in equivalent.stale()] if whole else []
    for entry in score.stale:
        print("stale entry:", entry)
    counted = len(score.killed) + len(score.survived)
    share = 100 * len(score.killed) / max(counted, 1)
    print(
        f"{len(score.killed)} of {counted} killed, {share:.2f} %; {len(score.equivalent)} equivalent, "
        f"{len(silent)} not decoding; {score.seconds:.0f} s"
    )
    if chosen.page:
        vectors, kept = len(trials) // len(PATHS), chosen.kept is not None
        write_page(score, vectors, chosen.sample, chosen.seed, len(every), kept)
    return int(share < chosen.at_least or bool(score.stale) or not all(why for _, why in gaps))


if __name__ == "__main__":
    sys.exit(main())
