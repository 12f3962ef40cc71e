"""Reports of a conformance run: JSON for programs, JUnit XML for build servers, Markdown for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree

from refcodec.suite.run.results import STATUSES, Result, Run

__all__ = ["as_json", "as_junit", "as_markdown"]


def as_json(run: Run) -> dict[str, Any]:
    """The run as JSON types.

    ``selected_passed`` says that what was selected passed, known failures excepted; ``conforming`` that every
    vector of the claim did.
    """
    selection = run.selection
    return {
        "decoder": run.decoder,
        "suite": {
            "version": run.suite.version,
            "manifest_sha256": run.suite.sha256,
            "vectors": len(run.suite.vectors),
        },
        "claimed": dict(run.scope.levels),
        "selection": {name: list(getattr(selection, name)) for name in type(selection).__slots__},
        "verdict": run.verdict,
        "sentence": run.sentence,
        "conforming": run.conforming,
        "selected_passed": run.passed,
        "vectors_claimed": run.claimed,
        "vectors_run": run.ran,
        "counts": {status: run.counts[status] for status in STATUSES},
        "stale_known_failing": list(run.stale),
        "results": [_result_as_json(result) for result in run.results],
    }


def _result_as_json(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": result.vector.id,
        "name": result.vector.name,
        "status": result.status,
        "known_failing": result.known,
        "excuse": result.excuse,
        "reason": result.reason,
        "seconds": round(result.seconds, 3),
    }
    if result.difference:
        found["difference"] = asdict(result.difference)
    return found


def as_junit(run: Run) -> str:
    """The run as JUnit XML; a known failure counts as skipped, a stale entry as a failure."""
    suite = ElementTree.Element(
        "testsuite",
        name="dfc-conformance",
        tests=str(len(run.results) + len(run.stale)),
        failures=str(sum(_fails(result) for result in run.results) + len(run.stale)),
        errors="0",
        skipped=str(sum(result.status != "pass" and not _fails(result) for result in run.results)),
        time=f"{sum(result.seconds for result in run.results):.3f}",
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (("verdict", run.verdict), ("sentence", run.sentence)):
        ElementTree.SubElement(properties, "property", name=name, value=value)
    for result in run.results:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"dfc.{result.vector.id}",
            name=result.vector.name,
            time=f"{result.seconds:.3f}",
        )
        if _fails(result):
            ElementTree.SubElement(case, "failure", message=_clean(result.reason))
        elif result.status != "pass":
            message = _clean(f"{result.status}: {result.reason}")
            ElementTree.SubElement(case, "skipped", message=message)
    for name in run.stale:
        case = ElementTree.SubElement(suite, "testcase", classname="dfc.known-failing", name=name)
        ElementTree.SubElement(case, "failure", message="stale entry in the list of known failures")
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def as_markdown(run: Run) -> str:
    """The run as a page of Markdown: a summary, then the vectors that did not pass."""
    counts = run.counts
    lines = [
        "# DFC conformance report",
        "",
        f"- Decoder: `{run.decoder}`",
        f"- Suite: version {run.suite.version}, manifest SHA-256 `{run.suite.sha256}`",
        f"- Claimed: {run.scope}",
        f"- Vectors: {run.ran} run of {run.claimed} claimed; the suite has {len(run.suite.vectors)}",
        f"- Passed {counts['pass']}, failed {counts['fail']}, skipped {counts['skip']}, "
        f"not applicable {counts['not-applicable']}",
        f"- Verdict: **{run.sentence}**",
        "",
    ]
    rest = [one for one in run.results if one.status not in ("pass", "not-applicable")]
    if rest:
        lines += ["| vector | name | status | reason |", "|---|---|---|---|"]
        for one in rest:
            status = f"{one.status} (known)" if one.known else one.status
            reason = _clean(one.reason).replace("|", "\\|")
            lines.append(f"| {one.vector.id} | {one.vector.name} | {status} | {reason} |")
        lines.append("")
    aside = [f"`{one.vector.name}`" for one in run.results if one.status == "not-applicable"]
    if aside:
        lines += [f"Not applicable: {', '.join(aside)}", ""]
    if run.stale:
        names = ", ".join(f"`{name}`" for name in run.stale)
        lines += [f"Stale entries in the list of known failures: {names}", ""]
    return "\n".join(lines)


def _fails(result: Result) -> bool:
    return result.status == "fail" and not result.known


def _clean(text: str) -> str:
    """A decoder's message on one line, without characters that XML does not allow."""
    return "".join(c if c.isprintable() else " " for c in text)
