"""A run as one page of HTML: filter, search, first differences, links into the specification.

The page needs no other file and no network, and works from a disk. Its form is a template beside this
module.
Everything that comes from a decoder, a suite or a command line is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files
from shlex import quote
from string import Template

import refcodec
from refcodec.suite.report.links import clause_html, documentation
from refcodec.suite.run.difference import Difference
from refcodec.suite.run.outputs import rejection_lines
from refcodec.suite.run.results import STATUSES, Result, Run

__all__ = ["as_html"]

_ORDER = ("fail", "skip", "pass", "not-applicable")
"""Statuses, those that need attention first."""

_OPENED = 3
"""First differences that are shown without a click."""

_WORDS = {"not-applicable": "not applicable"}


def as_html(run: Run, site: str | None = None) -> str:
    """The run as one self-contained page.

    site : address of the documentation, absolute or relative to the page; None for the published one.
    """
    address = documentation() if site is None else site
    results = sorted(run.results, key=lambda one: (_ORDER.index(one.status), one.known))
    opened = [one.vector.id for one in results if one.difference][:_OPENED]
    template = (files(__package__) / "page.html").read_text(encoding="utf-8")
    profiles = sorted({one.vector.profile for one in run.results})
    return Template(template).substitute(
        title=escape(f"DFC conformance of {run.decoder}"),
        verdict=run.verdict,
        sentence=escape(run.sentence),
        facts="\n".join(_facts(run)),
        profiles="".join(f"<option>{escape(one)}</option>" for one in profiles),
        buttons="\n".join(_buttons(run)),
        rows="\n".join(_row(one, run, address, one.vector.id in opened) for one in results),
        version=escape(refcodec.__version__),
    )


def _facts(run: Run) -> Iterator[str]:
    selection = run.selection
    patterns = (
        f"{name} {', '.join(getattr(selection, name))}"
        for name in type(selection).__slots__
        if getattr(selection, name)
    )
    facts = {
        "Claimed": str(run.scope),
        "Suite": f"version {run.suite.version}, manifest SHA-256 {run.suite.sha256}",
        "Vectors": f"{run.ran} run of {run.claimed} claimed; the suite has {len(run.suite.vectors)}",
        "Selected": "; ".join(patterns),
        "Time": f"{sum(one.seconds for one in run.results):.1f} s of the decoder",
        "Stale entries": ", ".join(run.stale),
    }
    for name, value in facts.items():
        if value:
            yield f"<dt>{name}</dt><dd>{escape(value)}</dd>"


def _buttons(run: Run) -> Iterator[str]:
    """A button for each status that occurs, with its number."""
    for status in sorted(STATUSES, key=_ORDER.index):
        if count := run.counts[status]:
            yield (
                f'<button type="button" class="{status}" data-status="{status}" aria-pressed="false">'
                f"{_WORDS.get(status, status)} {count}</button>"
            )


def _row(result: Result, run: Run, site: str, opened: bool) -> str:
    vector = result.vector
    words = escape(" ".join((f"profile:{vector.profile}", *vector.tags)), quote=True)
    status = _WORDS.get(result.status, result.status) + (" (known)" if result.known else "")
    clauses = " ".join(clause_html(number, site) for number in vector.clauses)
    return (
        f'<tr data-status="{result.status}" data-profile="{escape(vector.profile, quote=True)}" '
        f'data-decoder="{vector.decoder}" data-text="{words}">'
        f'<td class="status {result.status}">{status}</td>'
        f'<td class="vector"><span class="id">{escape(vector.id)}</span>{escape(vector.name)}</td>'
        f'<td class="expects">{escape(_expected(result))}</td>'
        f'<td class="what">{"".join(_told(result, run, site, opened))}</td>'
        f'<td class="clauses">{clauses}</td>'
        f'<td class="seconds">{result.seconds:.3f} s</td></tr>'
    )


def _expected(result: Result) -> str:
    """The ends of a decoder that pass."""
    vector = result.vector
    accepted = () if vector.decoder == "reject" else ("accept",)
    return " or ".join((*accepted, *rejection_lines(vector)))


def _told(result: Result, run: Run, site: str, opened: bool) -> Iterator[str]:
    """Purpose and reason, and under them the first difference and the commands that show more."""
    vector = result.vector
    yield f'<div class="purpose">{escape(vector.purpose)}</div>'
    if result.excuse:
        yield f'<div class="reason">known: {escape(result.excuse)}</div>'
    if result.reason:
        yield f'<div class="reason {result.status}">{escape(_short(result))}</div>'
    if result.status != "fail":
        return
    stream = str(run.suite.path(vector))
    commands = [
        f"refcodec conformance run --only {quote(vector.name)} --decoder ...",
        f"refcodec inspect {quote(stream)}",
    ]
    content = _difference(result.difference, site) if result.difference else ""
    lines = escape("\n".join(commands))
    yield f"<details{' open' if opened else ''}><summary>{_gist(result.difference)}</summary>"
    yield f"{content}<pre>{lines}</pre></details>"


def _gist(found: Difference | None) -> str:
    """A first difference in a few words."""
    if found is None:
        return "commands"
    index = ", ".join(map(str, found.index))
    gist = f"({index}) is {found.got}, wanted {found.wanted}"
    return f"first difference: {escape(gist)}"


def _short(result: Result) -> str:
    """The reason without the first difference, which has a table of its own."""
    if result.difference:
        return result.reason.removesuffix(f": {result.difference}")
    return result.reason


def _difference(found: Difference, site: str) -> str:
    axes = "(c, y, x)" if len(found.index) == 3 else "(d)"
    what = "sample" if found.stage == "samples" else "value"
    differing = f"{found.differing:,} of {found.elements:,}"
    rows = [
        ("feature", f"{found.feature}: {' x '.join(map(str, found.shape))}, {found.dtype}"),
        (f"{what} {axes}", f"({', '.join(map(str, found.index))})"),
        ("got", f"{found.got} = {found.got_bits}"),
        ("wanted", f"{found.wanted} = {found.wanted_bits}"),
        ("differ", differing + (f", by at most {found.largest}" if found.largest else "")),
        ("likely", found.guess),
        ("stage", found.stage),
        ("elements", found.element),
    ]
    cells = [f"<tr><th>{name}</th><td>{escape(text)}</td></tr>" for name, text in rows if text]
    if found.clauses:
        cells.append(f"<tr><th>see</th><td>{_clauses(found.clauses, site)}</td></tr>")
    return f'<table class="difference">{"".join(cells)}</table>'


def _clauses(numbers: Iterable[str], site: str) -> str:
    return ", ".join(clause_html(number, site) for number in numbers)
