"""Suites of drawn streams: a folder of streams, manifest and coverage, as the runner takes it."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from refcodec.errors import CallerError, DFCError, EnvironmentFault
from refcodec.files import storage_error
from refcodec.suite.agreement import judge
from refcodec.suite.assemble import edit_to_json
from refcodec.suite.derive import (
    Labels,
    expectation,
    feature_of,
    labels,
    released_features,
    syntax_hash,
)
from refcodec.suite.drawn.coverage import Coverage
from refcodec.suite.drawn.faults import Fault, Seen, draw_fault, require_agreement
from refcodec.suite.drawn.featured import draw_featured_stream
from refcodec.suite.drawn.stream import GENERATOR, Drawn, coders_of, draw_stream
from refcodec.suite.manifest import MANIFEST_NAME, Decision, Origin, Vector
from refcodec.syntax.codes import Profile

__all__ = ["COVERAGE_NAME", "Plan", "generate"]

COVERAGE_NAME = "coverage.md"

_PREFIX = re.compile(r"[A-Z][A-Z0-9]{0,15}")


@dataclass(frozen=True)
class Plan:
    """Streams to draw.

    level    : the highest.
    coders   : names of the coders to draw; none for all of the profile.
    seed     : of the first stream; each has the next one.
    invalid  : true for an invalid stream beside each valid one, made of it by one edit.
    features : features to code, instead of drawn samples.
    prefix   : of the ids, in capital letters; DFC is that of the suite itself.
    """

    profile: Profile
    level: int = 1
    coders: tuple[str, ...] = ()
    seed: int = 0
    count: int = 1
    invalid: bool = False
    features: Sequence[npt.NDArray[Any]] = ()
    prefix: str = "DRAWN"
    ffmpeg: str | None = None

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix) or self.prefix == "DFC":
            raise CallerError(
                f"the prefix of ids is {self.prefix!r}",
                hint="capital letters and digits, at most 16, and not DFC, which is the suite's own",
            )
        coders_of(self.profile, self.coders)

    def title(self, seed: int) -> str:
        """The words that name a stream in messages."""
        chosen = f", coders {' and '.join(self.coders)}" if self.coders else ""
        return f"profile {self.profile.name.lower()}{chosen}, level {self.level}, seed {seed}"


def generate(
    target: Path, plan: Plan, progress: Callable[[int], None] = lambda done: None
) -> Coverage:
    """Draw streams and write them as a suite, whole or not at all; returns their coverage.

    Every stream is checked first: the validator finds nothing, and the decoder gives the features drawn. Each
    invalid one breaks one clause, about which the two agree.

    Streams that need a program that is not there are left out, which the coverage says.

    Raises CallerError for a folder that is not empty; DFCError with the seed where the judges disagree;
    EnvironmentFault if no stream could be made.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CallerError(f"{target} exists and is not empty", hint="name a new folder")
    coverage = Coverage(plan.profile)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".drawn-") as scratch:
            root = Path(scratch) / "suite"
            vectors = []
            for vector, stream in _vectors(plan, coverage, progress):
                place = root / vector.file
                place.parent.mkdir(parents=True)
                place.write_bytes(stream)
                vectors.append(vector.as_json())
            if not vectors:
                raise EnvironmentFault(f"no stream could be made: {next(iter(coverage.left_out))}")
            content = {"version": f"{GENERATOR}.0", "vectors": vectors}
            text = json.dumps(content, indent=1, ensure_ascii=False)
            (root / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")
            (root / COVERAGE_NAME).write_text(coverage.as_markdown(), encoding="utf-8")
            root.replace(target)
    except OSError as error:
        raise storage_error(error, target) from None
    return coverage


def _vectors(
    plan: Plan, coverage: Coverage, progress: Callable[[int], None]
) -> Iterator[tuple[Vector, bytes]]:
    """Valid vectors, each followed by its invalid one, with their streams."""
    seen: Seen = Seen()
    donors: list[bytes] = []
    for number in range(plan.count):
        seed = plan.seed + number
        try:
            drawn = _drawn(plan, seed)
        except EnvironmentFault as missing:  # a program for video
            coverage.left_out[str(missing)] += 1
            continue
        vector, found = _valid(plan, seed, drawn)
        coverage.add(drawn.stream, found.tags)
        yield vector, drawn.stream
        donors = [*donors[-31:], drawn.stream]
        if plan.invalid:
            name = f"faults of {plan.title(seed)}"
            fault = draw_fault(drawn.stream, name, donors, seen, ffmpeg=plan.ffmpeg)
            if fault is not None:
                yield _invalid(plan, seed, vector, drawn, fault), fault.stream
        progress(number + 1)


def _drawn(plan: Plan, seed: int) -> Drawn:
    if plan.features:
        stream = draw_featured_stream(
            plan.features, plan.profile, plan.level, seed, coders=plan.coders, ffmpeg=plan.ffmpeg
        )
        return Drawn(stream, [])
    return draw_stream(plan.profile, plan.level, seed, coders=plan.coders, ffmpeg=plan.ffmpeg)


def _valid(plan: Plan, seed: int, drawn: Drawn) -> tuple[Vector, Labels]:
    """The entry of a valid stream, which is checked."""
    stream, title = drawn.stream, plan.title(seed)
    verdicts = judge(stream, ffmpeg=plan.ffmpeg)
    require_agreement(verdicts, title)
    for violation in verdicts.report.violations:
        raise DFCError(f"{title}: the stream drawn does not conform: {violation}")
    features = tuple(released_features(stream))
    promised = [feature_of(samples, values) for samples, values in drawn.features]
    if drawn.features and list(features) != promised:
        raise DFCError(f"{title}: the decoder does not give the features that were coded")
    found = labels(stream)
    kinds = [
        tag.partition(":")[2] for tag in found.tags if tag.startswith(("coder:", "quantiser:"))
    ]
    how = "own features" if plan.features else "a random walk"
    name = f"{'own' if plan.features else 'drawn'}-{plan.profile.name.lower()}-{seed}"
    return Vector(
        id=f"{plan.prefix}-V-{seed:04d}",
        name=name,
        purpose=f"{how} from {title}: {', '.join(kinds) or 'no features'}",
        clauses=tuple(sorted(found.clauses)),
        profile=found.profile,
        level=found.level,
        tags=found.tags,
        file=f"valid/{name}/stream.dfc",
        size=len(stream),
        sha256=hashlib.sha256(stream).hexdigest(),
        syntax=syntax_hash(stream),
        decoder="accept",
        features=features,
    ), found


def _invalid(plan: Plan, seed: int, origin: Vector, drawn: Drawn, fault: Fault) -> Vector:
    """The entry of an invalid stream, which has the labels of its origin."""
    name, violation = f"{origin.name}-fault", fault.violation
    decision: Decision = "either" if fault.optional else "reject"
    stop = violation.bit_offset
    syntax, features = expectation(fault.stream, decision, stop, drawn.stream)
    edit: dict[str, Any] = json.loads(json.dumps(edit_to_json(fault.edit)))
    words = {key: edit[key] for key in ("unit", "element", "to", "bit", "size") if key in edit}
    change = " ".join([edit["edit"], *(f"{key} {value}" for key, value in words.items())])
    return Vector(
        id=f"{plan.prefix}-I-{seed:04d}",
        name=name,
        purpose=fault.what,
        clauses=(violation.clause,),
        profile=origin.profile,
        level=origin.level,
        tags=origin.tags,
        file=f"invalid/{name}/stream.dfc",
        size=len(fault.stream),
        sha256=hashlib.sha256(fault.stream).hexdigest(),
        syntax=syntax,
        decoder=decision,
        features=features,
        violation=violation,
        origin=Origin(origin.name, change, (edit,)),
    )
