"""Reports of a conformance run: JSON for programs, JUnit XML for build servers, Markdown for people."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from refcodec.suite.runner import Result, Run

__all__ = ["as_json", "as_junit", "as_markdown"]


def as_json(run: Run) -> dict[str, Any]:
    """The run as JSON types, for publication with a claim of conformance."""
    return {
        "decoder": run.decoder,
        "suite": {"version": run.suite.version, "manifest_sha256": run.suite.sha256},
        "vectors_in_suite": len(run.suite.vectors),
        "vectors_run": len(run.results),
        "passed": run.passed,
        "counts": {status: run.counts[status] for status in ("pass", "fail", "skip")},
        "stale_known_failing": list(run.stale),
        "results": [
            {
                "id": result.vector.id,
                "name": result.vector.name,
                "status": result.status,
                "known_failing": result.known,
                "reason": result.reason,
                "seconds": round(result.seconds, 3),
            }
            for result in run.results
        ],
    }


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
            ElementTree.SubElement(case, "skipped", message=_clean(result.reason))
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
        f"- Vectors: {len(run.results)} run of {len(run.suite.vectors)}",
        f"- Passed {counts['pass']}, failed {counts['fail']}, skipped {counts['skip']}",
        f"- Verdict: **{'pass' if run.passed else 'fail'}**",
        "",
    ]
    rest = [result for result in run.results if result.status != "pass"]
    if rest:
        lines += ["| vector | name | status | reason |", "|---|---|---|---|"]
        for one in rest:
            status = f"{one.status} (known)" if one.known else one.status
            reason = _clean(one.reason).replace("|", "\\|")
            lines.append(f"| {one.vector.id} | {one.vector.name} | {status} | {reason} |")
        lines.append("")
    if run.stale:
        names = ", ".join(f"`{name}`" for name in run.stale)
        lines += [f"Stale entries in the list of known failures: {names}", ""]
    return "\n".join(lines)


def _fails(result: Result) -> bool:
    return result.status == "fail" and not result.known


def _clean(text: str) -> str:
    """A decoder's message on one line, without characters that XML does not allow."""
    return "".join(c if c.isprintable() else " " for c in text)
