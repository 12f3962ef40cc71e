"""Choice of vectors, and verdicts that say what they cover."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from command import run
from typer.testing import CliRunner

from refcodec.cli.conformance import app
from refcodec.errors import CallerError
from refcodec.suite.manifest import Manifest, Vector, load_manifest
from refcodec.suite.report.documents import as_json, as_junit, as_markdown
from refcodec.suite.run.contract import Outcome
from refcodec.suite.run.results import Run
from refcodec.suite.run.runner import run_suite
from refcodec.suite.run.selection import PROFILES, Scope, Selection
from refcodec.tables import HIGHEST_LEVEL

SUITE = load_manifest(Path(__file__).resolve().parents[1] / "bitstreams")

Judge = Callable[[Vector], Outcome]


class Fake:
    """A decoder whose outcome is a function of the vector; vectors to accept have none of their values."""

    name = "fake"

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._vectors = {SUITE.path(vector).resolve(): vector for vector in SUITE.vectors}
        self.asked: list[str] = []

    def run(self, stream: Path, expected: int, timeout: float) -> Outcome:
        """Give the outcome for a vector."""
        vector = self._vectors[stream.resolve()]
        self.asked.append(vector.name)
        return self._judge(vector)


def rejecting(vector: Vector) -> Outcome:
    return Outcome(reject=vector.violation.reject) if vector.violation else Outcome(skip="no")


def without_outputs(suite: Manifest) -> Manifest:
    """The vectors that a decoder may refuse, which a fake passes."""
    return replace(suite, vectors=tuple(one for one in suite.vectors if one.decoder != "accept"))


# --- scope -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profiles", "levels", "expected"),
    [
        ([], [], dict.fromkeys(PROFILES, HIGHEST_LEVEL)),
        (["lossless"], [], {"lossless": HIGHEST_LEVEL}),
        (["hevc"], [], {"lossless": HIGHEST_LEVEL, "hevc": HIGHEST_LEVEL}),
        (["hevc", "native"], ["1"], {"lossless": 1, "hevc": 1, "native": 1}),
        (["hevc,native"], ["native:2,1"], {"lossless": 1, "hevc": 1, "native": 2}),
        ([], ["hevc:2"], {**dict.fromkeys(PROFILES, HIGHEST_LEVEL), "hevc": 2}),
    ],
)
def test_scope(profiles: list[str], levels: list[str], expected: dict[str, int]) -> None:
    assert dict(Scope.parse(profiles, levels).levels) == expected


@pytest.mark.parametrize(
    ("profiles", "levels", "message"),
    [
        (["losless"], [], "no profile 'losless' .did you mean lossless"),
        (["tokens"], [], "no profile 'tokens'"),
        (["lossless"], ["native:1"], "'native' is given, and the profile is not claimed"),
        ([], ["0"], "no level '0'"),
        ([], [f"hevc:{HIGHEST_LEVEL + 1}"], "no level"),
        ([], ["high"], "no level 'high'"),
        ([], ["²"], "no level"),
    ],
)
def test_wrong_scope(profiles: list[str], levels: list[str], message: str) -> None:
    with pytest.raises(CallerError, match=message):
        Scope.parse(profiles, levels)


@pytest.mark.parametrize("profile", PROFILES)
def test_scope_covers_its_profiles(profile: str) -> None:
    scope = Scope.parse([profile])
    covered = [one for one in SUITE.vectors if not scope.objection(SUITE, one)]
    assert {one.profile for one in covered} == set(scope.levels)


def test_level_of_a_scope() -> None:
    scope = Scope.parse([], ["1"])
    assert scope.objection(SUITE, SUITE.named("raw-float32")) == ""
    assert "level 2 of profile lossless" in scope.objection(SUITE, SUITE.named("level-2"))


@pytest.mark.parametrize(
    ("name", "profile", "declared"),
    [("hevc-profile-native", "hevc", "native"), ("native-profile-hevc", "native", "hevc")],
)
def test_profile_that_an_edit_declares(name: str, profile: str, declared: str) -> None:
    """A decoder without the declared profile may refuse the stream before it sees the defect."""
    vector = SUITE.named(name)
    assert vector.profile == profile
    objection = Scope.parse([profile]).objection(SUITE, vector)
    assert objection == f"profile {declared} is not claimed"
    assert Scope.parse([profile, declared]).objection(SUITE, vector) == ""


# --- patterns --------------------------------------------------------------------------------------


def chosen(**patterns: tuple[str, ...]) -> set[str]:
    return {vector.name for vector in Selection(**patterns).choose(SUITE)}


def test_patterns_of_one_kind_add_up() -> None:
    assert chosen(only=("raw-float32", "DFC-V-0002")) == {"raw-float32", "raw-float16"}


def test_patterns_of_two_kinds_restrict_each_other() -> None:
    both = chosen(tags=("coder:zlib",), clauses=("8.6.2",))
    assert both == {
        one.name for one in SUITE.vectors if "coder:zlib" in one.tags and "8.6.2" in one.clauses
    }
    assert both


def test_clause_includes_its_subclauses() -> None:
    assert chosen(clauses=("8.3.7",)) >= chosen(clauses=("8.3.7.1",)) != set()
    assert "raw-float32" not in chosen(clauses=("8.3.2",))


def test_excluded_vectors() -> None:
    names = {one.name for one in SUITE.vectors}
    assert chosen(exclude=("profile:hevc", "raw-*")) == {
        one.name
        for one in SUITE.vectors
        if one.profile != "hevc" and not one.name.startswith("raw-")
    }
    assert chosen(exclude=("raw-1-bit",)) == names - {"raw-1-bit"}


def test_requirement_selects_its_vectors() -> None:
    """Patterns on requirements do not match clauses, nor the other way round."""
    assert chosen(clauses=("R9.2-7",)) == {
        "range-min-negative-zero",
        "range-reversed",
        "range-channel-reversed",
        "batch-range-reversed",
    }
    valid = {one.name for one in SUITE.vectors if one.file.startswith("valid/")}
    assert valid <= chosen(clauses=("RA.1-1",))
    assert chosen(clauses=("R9.2-2*",)) >= chosen(clauses=("R9.2-2",)) != set()
    both = chosen(clauses=("R9.2-7", "9.7"))
    assert both == chosen(clauses=("R9.2-7",)) | chosen(clauses=("9.7",))


@pytest.mark.parametrize("kind", ["only", "exclude", "clauses", "tags"])
def test_pattern_that_matches_nothing_is_named(kind: str) -> None:
    word = {"clauses": "clause", "tags": "tag"}.get(kind, kind)
    with pytest.raises(CallerError, match=f"no vector matches {word} 'no such'"):
        Selection(**{kind: ("*", "no such")}).choose(SUITE)


def test_selection_of_nothing() -> None:
    with pytest.raises(CallerError, match="no vector matches all of the patterns"):
        Selection(only=("raw-float32",), tags=("coder:zlib",)).choose(SUITE)
    with pytest.raises(CallerError, match="no selected vector is one of lossless at level"):
        run_suite(
            SUITE,
            Fake(rejecting),
            scope=Scope.parse(["lossless"]),
            selection=Selection(("hevc-8-bit",)),
        )


# --- verdicts --------------------------------------------------------------------------------------


def test_conforming_is_who_passes_everything_claimed() -> None:
    suite = without_outputs(SUITE)
    run = run_suite(suite, Fake(rejecting))
    assert run.verdict == "conforming"
    assert run.conforming
    assert run.sentence.startswith(f"conforming: all {len(suite.vectors)} vectors of lossless")


def test_selected_vectors_show_no_conformity() -> None:
    suite = without_outputs(SUITE)
    run = run_suite(suite, Fake(rejecting), selection=Selection(exclude=("unit-crc",)))
    assert run.passed
    assert run.verdict == "passed-selected"
    assert not run.conforming
    number = len(suite.vectors)
    assert run.sentence.startswith(
        f"passed {number - 1} of {number - 1} selected; 1 of the {number}"
    )
    assert "conforming" not in run.sentence


def test_other_profiles_are_not_applicable() -> None:
    suite, fake = without_outputs(SUITE), Fake(rejecting)
    run = run_suite(suite, fake, scope=Scope.parse(["lossless"]))
    assert run.verdict == "conforming"
    assert len(run.results) == len(suite.vectors)
    aside = {one.vector.name for one in run.results if one.status == "not-applicable"}
    others = {one.name for one in suite.vectors if one.profile != "lossless"}
    assert aside - others == {
        "static-quantiser-none"
    }  # made of a lossless stream, but declares another
    assert others <= aside
    assert not aside & set(fake.asked)
    assert run.sentence.startswith(f"conforming: all {run.ran} vectors of lossless at level")
    assert run.ran + len(aside) == len(suite.vectors)


def test_suite_without_a_claimed_profile_shows_nothing_about_it() -> None:
    lossless = tuple(one for one in without_outputs(SUITE).vectors if one.profile == "lossless")
    suite = replace(SUITE, vectors=lossless)
    assert run_suite(suite, Fake(rejecting)).verdict == "passed-selected"
    assert run_suite(suite, Fake(rejecting), scope=Scope.parse(["lossless"])).conforming


def test_skip_within_the_claim_is_no_pass() -> None:
    def lazy(vector: Vector) -> Outcome:
        return Outcome(skip="not yet") if vector.name == "unit-crc" else rejecting(vector)

    run = run_suite(without_outputs(SUITE), Fake(lazy))
    assert run.verdict == "failed"
    assert f"1 of {run.ran} selected were skipped" in run.sentence


def test_skip_outside_the_claim_is_no_failure() -> None:
    """A decoder that skips the profiles that it does not have is conforming to those that it claims."""

    def lossless(vector: Vector) -> Outcome:
        return rejecting(vector) if vector.profile == "lossless" else Outcome(skip="profile")

    suite = without_outputs(SUITE)
    assert run_suite(suite, Fake(lossless)).verdict == "failed"
    assert run_suite(suite, Fake(lossless), scope=Scope.parse(["lossless"])).conforming


def test_known_failure_is_no_conformity() -> None:
    def wrong(vector: Vector) -> Outcome:
        return Outcome("no") if vector.name == "unit-crc" else rejecting(vector)

    run = run_suite(without_outputs(SUITE), Fake(wrong), known_failing={"unit-crc": "issue 7"})
    assert run.passed
    assert run.verdict == "known-failures"
    assert "1 of " in run.sentence
    assert "failed, as listed" in run.sentence
    assert [one.excuse for one in run.results if one.known] == ["issue 7"]


def test_known_failure_outside_the_claim_is_not_stale() -> None:
    suite, scope = without_outputs(SUITE), Scope.parse(["lossless"])
    known = ["native-cut", "hevc-slice-qp"]
    run = run_suite(suite, Fake(rejecting), scope=scope, known_failing=known)
    assert run.stale == ()
    assert run.conforming
    assert run_suite(suite, Fake(rejecting), known_failing=known).stale == tuple(known)


# --- reports ---------------------------------------------------------------------------------------


@pytest.fixture
def partial() -> Run:
    """A run over a part of a claim, which passed."""
    return run_suite(
        without_outputs(SUITE),
        Fake(rejecting),
        scope=Scope.parse(["lossless"], ["1"]),
        selection=Selection(only=("unit-crc", "header-crc", "native-cut")),
    )


def test_json_says_what_is_covered(partial: Run) -> None:
    report = json.loads(json.dumps(as_json(partial)))
    assert report["verdict"] == "passed-selected"
    assert report["conforming"] is False
    assert report["selected_passed"] is True
    assert "passed" not in report
    assert report["claimed"] == {"lossless": 1}
    assert report["selection"]["only"] == ["unit-crc", "header-crc", "native-cut"]
    assert report["counts"] == {"pass": 2, "fail": 0, "skip": 0, "not-applicable": 1}
    assert (report["vectors_run"], report["vectors_claimed"]) == (2, partial.claimed)
    assert report["suite"]["vectors"] > partial.claimed > 50


def test_junit_says_what_is_covered(partial: Run) -> None:
    root = ElementTree.fromstring(as_junit(partial))
    own = {one.attrib["name"]: one.attrib["value"] for one in root.iter("property")}
    assert own == {"verdict": "passed-selected", "sentence": partial.sentence}
    (skipped,) = root.iter("skipped")
    assert skipped.attrib["message"] == "not-applicable: profile native is not claimed"


def test_markdown_says_what_is_covered(partial: Run) -> None:
    page = as_markdown(partial)
    assert f"Verdict: **{partial.sentence}**" in page
    assert "Not applicable: `native-cut`" in page
    assert "conforming" not in page


# --- command line ----------------------------------------------------------------------------------


def test_patterns_are_repeated(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    words = ["--only", "raw-float32", "--only", "raw-float16,raw-1-bit", "--json", str(report)]
    done = CliRunner().invoke(app, ["run", *words])
    assert done.exit_code == 0, done.output
    found = json.loads(report.read_text(encoding="utf-8"))
    assert [one["name"] for one in found["results"]] == ["raw-float32", "raw-float16", "raw-1-bit"]
    assert "passed 3 of 3 selected; " in done.output
    assert "conforming" not in done.output


def test_list_follows_the_selection() -> None:
    words = ["--profile", "lossless", "--level", "1", "--clause", "8.6.2", "--exclude", "log-*"]
    done = CliRunner().invoke(app, ["list", *words])
    names = {line.split()[1] for line in done.output.splitlines()[1:]}
    assert names
    assert names == {
        one.name
        for one in SUITE.vectors
        if one.profile == "lossless"
        and one.level == 1
        and "8.6.2" in one.clauses
        and not one.name.startswith("log-")
    }


def test_a_suite_of_others_shows_no_conformity(tmp_path: Path) -> None:
    run(
        "conformance",
        "generate",
        tmp_path / "own",
        "--profile",
        "lossless",
        "--seed",
        "1",
        "--count",
        "3",
    )
    words = ("conformance", "run", "--suite", tmp_path / "own", "--profile", "lossless")
    assert (
        run(*words)
        .stdout.splitlines()[-1]
        .endswith(
            "passed 3 of 3 selected; this is not the published suite: conformity is not shown"
        )
    )
