"""Claims of conformance: what they say, and contradictions that are found in them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from oracle import HONEST_COMMAND, command_template, write_answers
from typer.testing import CliRunner

from refcodec.cli.conformance import app
from refcodec.errors import CallerError
from refcodec.suite.manifest import load_manifest
from refcodec.suite.report.claim import Claim, read_claim, verify
from refcodec.suite.run.contract import BuiltIn, Command
from refcodec.suite.run.runner import run_suite
from refcodec.suite.run.selection import Scope, Selection

SUITE = load_manifest(Path(__file__).resolve().parents[1] / "bitstreams")

Document = dict[str, Any]


@pytest.fixture(scope="module")
def made() -> Document:
    """The claim of refcodec for the lossless profile."""
    run = run_suite(SUITE, BuiltIn(), scope=Scope.parse(["lossless"], ["1"]))
    document: Document = json.loads(json.dumps(Claim.of(run, "mine", "1.2").as_json()))
    return document


@pytest.fixture
def document(made: Document) -> Document:
    return copy.deepcopy(made)


def _write(path: Path, document: Document) -> str:
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def test_claim_says_everything(document: Document, tmp_path: Path) -> None:
    assert read_claim(_write(tmp_path / "claim", document)) == document
    assert document["decoder"] == {"name": "mine", "version": "1.2"}
    assert document["suite"]["manifest_sha256"] == SUITE.sha256
    assert document["claimed"] == {"lossless": 1}
    assert document["conforming"] is True
    assert document["counts"]["pass"] == document["vectors_claimed"]
    assert len(document["not_applicable"]) == document["counts"]["not-applicable"] > 100
    assert len(document["results"]) == len(SUITE.vectors)
    assert list(verify(document, SUITE)) == []


def _drop(document: Document) -> None:
    """Leave a failure out."""
    del document["results"][5]
    document["counts"]["pass"] -= 1


def _twice(document: Document) -> None:
    document["results"][5] = document["results"][6]


def _swap(document: Document) -> None:
    results = document["results"]
    results[5], results[6] = results[6], results[5]


def _hide(document: Document) -> None:
    """A skipped vector counted as passed."""
    document["results"][0] |= {"status": "skip", "reason": "no time"}


def _aside(document: Document) -> None:
    """A vector of the profile that is called not applicable."""
    document["results"][0] |= {"status": "not-applicable", "reason": "profile"}
    document["counts"]["pass"] -= 1
    document["counts"]["not-applicable"] += 1
    document["not_applicable"].insert(0, document["results"][0]["id"])


def _more(document: Document) -> None:
    """A vector of another profile that is called passed."""
    number = next(
        n for n, one in enumerate(document["results"]) if one["status"] == "not-applicable"
    )
    document["results"][number] |= {"status": "pass", "reason": ""}


def _excused(document: Document) -> None:
    """A known failure that did not fail."""
    document["known_failures"].append({"id": document["results"][0]["id"], "reason": "old"})


def _failing(document: Document) -> None:
    document["results"][0] |= {"status": "fail", "reason": "wrong"}
    document["counts"]["pass"] -= 1
    document["counts"]["fail"] += 1


LIES: list[tuple[Callable[[Document], object], str]] = [
    (_drop, "has no result"),
    (_twice, "has no result"),
    (_swap, "not in the order of the suite"),
    (_hide, "counts is"),
    (_aside, "is not-applicable, and within the claimed profiles"),
    (_more, "is pass, and outside the claimed profiles"),
    (_excused, "known_failures is"),
    (_failing, "verdict is"),
    (lambda d: d["counts"].update(fail=1), "counts is"),
    (lambda d: d.update(vectors_claimed=9), "vectors_claimed is 9"),
    (lambda d: d.update(conforming=False), "conforming is false"),
    (lambda d: d.update(sentence="conforming to everything"), "sentence is"),
    (lambda d: d.update(verdict="known-failures"), "verdict is"),
    (lambda d: d["claimed"].update(native=2), "vectors_claimed is"),
    (lambda d: d["claimed"].update(lossless=2), "vectors_claimed is"),
    (lambda d: d.update(specification="2.0"), "specification is"),
    (lambda d: d["suite"].update(vectors=3), "suite is"),
    (lambda d: d["suite"].update(version="9.9"), "suite is"),
    (lambda d: d["suite"].update(manifest_sha256="0" * 64), "the claim is about suite 1.0"),
    (lambda d: d["selection"].update(exclude=["raw-float32"]), "not among the selected vectors"),
    (lambda d: d["results"][0].update(reason="slow"), "is pass, with the reason 'slow'"),
    (lambda d: d["results"][0].update(name="other"), "has no result"),
    (lambda d: d["not_applicable"].pop(), "not_applicable is"),
    (lambda d: d["stale_known_failing"].append("raw-float32"), "verdict is"),
]


@pytest.mark.parametrize(("lie", "contradiction"), LIES)
def test_contradiction(
    lie: Callable[[Document], object], contradiction: str, document: Document, tmp_path: Path
) -> None:
    lie(document)
    path = _write(tmp_path / "claim", document)
    assert any(contradiction in found for found in verify(read_claim(path), SUITE))
    done = CliRunner().invoke(app, ["verify", path])
    assert done.exit_code == 1
    assert "wrong: " in done.output
    assert "the claim is wrong" in done.output


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("machine"),
        lambda d: d.update(format="other"),
        lambda d: d.update(more=1),
        lambda d: d["decoder"].update(version=""),
        lambda d: d["results"][0].update(status="passed"),
        lambda d: d.update(date="yesterday"),
        lambda d: d["known_failures"].append({"id": "DFC-V-0001", "reason": ""}),
    ],
)
def test_no_claim(spoil: Callable[[Document], object], document: Document, tmp_path: Path) -> None:
    spoil(document)
    with pytest.raises(CallerError, match="is no claim of conformance"):
        read_claim(_write(tmp_path / "claim", document))


def test_unreadable_claim(tmp_path: Path) -> None:
    with pytest.raises(CallerError, match="cannot read"):
        read_claim(tmp_path / "absent")
    (tmp_path / "claim").write_bytes(b"\xff[")
    with pytest.raises(CallerError, match="is no claim"):
        read_claim(tmp_path / "claim")


def test_claimed_profile_that_does_not_exist(document: Document) -> None:
    document["claimed"] = {"tokens": 1}
    with pytest.raises(CallerError, match="no profile 'tokens'"):
        list(verify(document, SUITE))


def test_known_failure_needs_a_reason() -> None:
    chosen = Selection(only=("unit-crc", "header-crc"))
    decoder = Command(("false", "{input}", "{output}"))
    run = run_suite(SUITE, decoder, selection=chosen, known_failing={"unit-crc": ""})
    with pytest.raises(CallerError, match="the known failure unit-crc has no reason"):
        Claim.of(run, "mine", "1.2")
    run = run_suite(SUITE, decoder, selection=chosen, known_failing={"unit-crc": "issue 7"})
    claim = Claim.of(run, "mine", "1.2").as_json()
    assert claim["known_failures"] == [{"id": "DFC-I-0012", "reason": "issue 7"}]
    assert list(verify(json.loads(json.dumps(claim)), SUITE)) == []


# --- command line ----------------------------------------------------------------------------------

CHOSEN = ["--only", "no-index,unit-crc,header-cut"]


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    vectors = Selection(only=("no-index", "unit-crc", "header-cut")).choose(SUITE)
    path = tmp_path / "answers.json"
    write_answers(type(SUITE)(SUITE.root, SUITE.version, vectors), path)
    return path


def test_claim_is_run_again(answers: Path, tmp_path: Path) -> None:
    honest, claim = command_template(answers, HONEST_COMMAND), str(tmp_path / "claim.json")
    words = ["--claim", claim, "--decoder-name", "mine", "--decoder-version", "1.2"]
    done = CliRunner().invoke(app, ["run", *CHOSEN, "--decoder", honest, *words])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, ["verify", claim])
    assert (done.exit_code, done.output.splitlines()[-1]) == (
        0,
        "the claim is true: passed-selected (not run again: no --decoder)",
    )
    done = CliRunner().invoke(app, ["verify", claim, "--decoder", honest])
    assert (done.exit_code, done.output.splitlines()[-1]) == (
        0,
        "the claim is true: passed-selected (run again)",
    )
    wrong = command_template(answers, "print('REJECT checksum')\nsys.exit(1)")
    done = CliRunner().invoke(app, ["verify", claim, "--decoder", wrong])
    assert done.exit_code == 1
    assert "no-index is claimed to be pass, and is fail: rejected as checksum" in done.output
    assert "unit-crc" not in done.output
    assert "mine 1.2: passed 3 of 3 selected" in done.output


def test_claim_needs_a_version(answers: Path, tmp_path: Path) -> None:
    words = ["--decoder", command_template(answers, HONEST_COMMAND)]
    done = CliRunner().invoke(app, ["run", *CHOSEN, *words, "--claim", str(tmp_path / "claim")])
    assert isinstance(done.exception, CallerError)
    assert "--decoder-version" in str(done.exception)


def test_claim_of_refcodec_names_it(tmp_path: Path) -> None:
    claim = tmp_path / "claim.json"
    done = CliRunner().invoke(app, ["run", "--only", "empty", "--claim", str(claim)])
    assert done.exit_code == 0
    assert read_claim(claim)["decoder"]["name"] == "refcodec"
