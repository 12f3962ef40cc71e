"""Two runs compared: what counts as worse, and what is only another reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command import CALL_AT_FAULT, run

from refcodec.errors import CallerError
from refcodec.suite.report.comparison import Comparison, read_report

VECTORS = ("no-index", "raw-bfloat16", "unit-crc", "header-cut")


def _report(path: Path, results: dict[str, Any], **changes: Any) -> Path:
    """A report with these statuses, reasons and times, in the form of ``run --json``."""
    entries = []
    for name, result in results.items():
        status, reason, seconds, known = (*result, "", 0.0, False)[:4] if result else ("pass",)
        entries.append(
            {
                "id": f"DFC-{name}",
                "name": name,
                "status": status,
                "reason": reason or ("" if status == "pass" else "why"),
                "seconds": seconds or 0.01,
                "known_failing": known,
            }
        )
    document = {
        "decoder": "mydec",
        "suite": {"version": "1.0", "manifest_sha256": "0" * 64},
        "sentence": "as it is",
        "results": entries,
        **changes,
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def _compared(folder: Path, before: dict[str, Any], after: dict[str, Any]) -> Comparison:
    return Comparison(
        read_report(_report(folder / "a.json", before)),
        read_report(_report(folder / "b.json", after)),
    )


@pytest.mark.parametrize(
    ("before", "after", "kind", "worse"),
    [
        (("pass",), ("fail", "hash"), "regression", True),
        (("pass",), ("skip", "not claimed"), "regression", True),
        (("pass",), ("fail", "hash", 0, True), "known", False),
        (("pass",), ("not-applicable", "level"), "lost", True),
        (("pass",), None, "lost", True),
        (("fail", "hash"), ("pass",), "fixed", False),
        (("skip", "later"), ("pass",), "fixed", False),
        (("fail", "one thing"), ("fail", "another"), "other", False),
        (("fail", "hash"), ("skip", "not claimed"), "other", False),
        (("fail", "hash"), None, "other", False),
        (None, ("pass",), "new", False),
        (None, ("fail", "hash"), "new", False),
    ],
)
def test_kinds_of_changes(before: Any, after: Any, kind: str, worse: bool, tmp_path: Path) -> None:
    same = {"unit-crc": ("pass",)}
    found = _compared(
        tmp_path,
        same | ({"x": before} if before else {}),
        same | ({"x": after} if after else {}),
    )
    (change,) = found.changes
    assert (change.kind, change.entry.name) == (kind, "x")
    assert found.regressed() == worse
    assert found.regressed(partial=True) == (worse and kind != "lost")


def test_nothing_changed(tmp_path: Path) -> None:
    results = {"a": ("pass",), "b": ("fail", "hash", 0.5), "c": ("skip", "no")}
    found = _compared(tmp_path, results, results)
    assert found.changes == found.slower == []
    assert not found.regressed()


def test_time_alone_is_no_regression(tmp_path: Path) -> None:
    found = _compared(
        tmp_path,
        {"a": ("pass", "", 0.2), "b": ("pass", "", 0.001), "c": ("pass", "", 1)},
        {"a": ("pass", "", 0.9), "b": ("pass", "", 0.05), "c": ("pass", "", 1.5)},
    )
    assert [after.name for _, after in found.slower] == ["a"]
    assert not found.regressed()


def test_regressions_come_first(tmp_path: Path) -> None:
    found = _compared(
        tmp_path,
        {"a": ("fail", "x"), "b": ("pass",), "c": ("pass",)},
        {"a": ("pass",), "b": ("pass",), "c": ("fail", "y"), "d": ("pass",)},
    )
    assert [change.kind for change in found.changes] == ["regression", "fixed", "new"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"decoder": "x", "suite": {}, "sentence": "", "results": []}',
        '{"decoder": "x", "suite": {"version": "1", "manifest_sha256": "0"}, "sentence": "",'
        ' "results": [{"id": "x", "name": "x", "status": "good", "reason": ""}]}',
        '{"decoder": "x", "suite": {"version": "1", "manifest_sha256": "0"}, "sentence": "",'
        ' "results": [3]}',
        "[" * 100_000,
    ],
)
def test_file_that_is_no_report(content: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CallerError):
        read_report(path)
    run("conformance", "diff", path, path, status=CALL_AT_FAULT)
    with pytest.raises(CallerError):
        read_report(tmp_path / "absent.json")


# --- real reports ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Reports of refcodec's own decoder, and of one that rejects everything."""
    folder = tmp_path_factory.mktemp("reports")
    script = folder / "rejects.py"
    script.write_text("print('REJECT checksum')\nraise SystemExit(1)\n", encoding="utf-8")
    import sys

    only = ("--only", ",".join(VECTORS))
    run("conformance", "run", *only, "--json", folder / "good.json")
    decoder = f"{sys.executable} '{script}' {{input}} {{output}}"
    bad = ("--json", folder / "bad.json", "--decoder", decoder)
    run("conformance", "run", *only, *bad, status=1)
    return folder / "good.json", folder / "bad.json"


def test_reports_of_runs(reports: tuple[Path, Path]) -> None:
    good, bad = reports
    assert "no regression: nothing changed" in run("conformance", "diff", good, good).output
    done = run("conformance", "diff", good, bad, status=1)
    assert "regression: DFC-V-0038 no-index: pass, then fail (rejected as checksum" in done.output
    assert "worse: 3 regression" in done.output  # unit-crc is rejected as checksum, rightly
    assert "no regression: 3 fixed" in run("conformance", "diff", bad, good).output
    found = json.loads(run("conformance", "diff", good, bad, "--json", status=1).output)
    assert found["regressed"]
    assert found["same_suite"]
    assert found["before"]["counts"]["pass"] == 4
    assert found["after"]["counts"] == {"pass": 1, "fail": 3, "skip": 0, "not-applicable": 0}
    assert [change["kind"] for change in found["changes"]] == ["regression"] * 3


def test_run_of_a_part(reports: tuple[Path, Path], tmp_path: Path) -> None:
    part = tmp_path / "part.json"
    run("conformance", "run", "--only", "no-index", "--json", part)
    done = run("conformance", "diff", reports[0], part, status=1)
    assert "worse: 3 lost" in done.output
    assert (
        "no regression: 3 lost" in run("conformance", "diff", reports[0], part, "--partial").output
    )


def test_claims_are_reports(reports: tuple[Path, Path], tmp_path: Path) -> None:
    claim = tmp_path / "claim.json"
    run("conformance", "run", "--only", ",".join(VECTORS), "--claim", claim)
    assert "nothing changed" in run("conformance", "diff", reports[0], claim).output
    run("conformance", "diff", claim, reports[1], status=1)


def test_other_suite_is_said(tmp_path: Path) -> None:
    one = _report(tmp_path / "a.json", {"a": ("pass",)})
    suite = {"version": "1.1", "manifest_sha256": "1" * 64}
    two = _report(tmp_path / "b.json", {"a": ("pass",)}, suite=suite)
    assert "the suites are not the same" in run("conformance", "diff", one, two).output
