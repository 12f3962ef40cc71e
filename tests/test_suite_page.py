"""The HTML page of a run: complete without a network, safe with hostile texts, and usable in a browser."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from browser import result_of
from command import run

from refcodec.suite.manifest import Manifest, load_manifest
from refcodec.suite.report.links import PAGES, clause_html
from refcodec.suite.report.page import as_html
from refcodec.suite.run.contract import BuiltIn, Outcome
from refcodec.suite.run.results import Run
from refcodec.suite.run.runner import run_suite
from refcodec.suite.run.selection import Scope
from refcodec.tables import clause_titles

ROOT = Path(__file__).resolve().parents[1]
SUITE = load_manifest(ROOT / "bitstreams")

CHOSEN = (
    *("raw-float32", "raw-float16", "no-index", "zlib-float32", "log-16-bit", "native-1x1"),
    *("unit-crc", "header-cut", "index-missing", "hevc-8-bit"),
)

HOSTILE = "<script>document.title='taken'</script> & \"quoted\" 'so' ${x} $title </td>"


class _Wrong:
    """A decoder with one error of each kind."""

    name = f"a decoder {HOSTILE}"

    def run(self, stream: Path, expected: int, timeout: float) -> Outcome:
        right = BuiltIn().run(stream, expected, timeout)
        name = stream.parent.name
        if name == "raw-float32":
            output = right.output[:4] + bytes([right.output[4] ^ 1]) + right.output[5:]
            return replace(right, output=output)
        if name == "no-index":
            return Outcome(problem=HOSTILE)
        if name == "zlib-float32":
            return Outcome(skip=HOSTILE)
        if name == "unit-crc":
            return Outcome(reject="order")
        return right


@pytest.fixture(scope="module")
def small() -> Manifest:
    return replace(SUITE, vectors=tuple(SUITE.named(name) for name in CHOSEN))


@pytest.fixture(scope="module")
def wrong(small: Manifest) -> Run:
    """A run with failures, a known failure, a skip, and vectors that are not applicable."""
    scope = Scope.parse(["lossless"])
    known = {"unit-crc": f"excused {HOSTILE}"}
    return run_suite(small, _Wrong(), scope=scope, known_failing=known, workers=1)


@pytest.fixture(scope="module")
def page(wrong: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("a page") / "report.html"
    path.write_text(as_html(wrong, "../docs"), encoding="utf-8")
    return path


# --- the text --------------------------------------------------------------------------------------


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "input", "col", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_is_self_contained(wrong: Run) -> None:
    """Every tag is closed, nothing is loaded, and the only references are links to follow."""
    parsed = _Tags(as_html(wrong, "../docs"))
    assert parsed.open == []
    for tag, attributes in parsed.tags:
        assert not {"src", "srcset", "data", "action", "style"} & set(attributes), tag
        assert "href" not in attributes or tag == "a"
        assert not any(name.startswith("on") for name in attributes)
    assert sum(tag == "script" for tag, _ in parsed.tags) == 1
    assert not {"link", "img", "iframe", "object", "base"} & {tag for tag, _ in parsed.tags}
    policy = next(one["content"] for tag, one in parsed.tags if "http-equiv" in one)
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_hostile_texts_are_texts(wrong: Run) -> None:
    text = as_html(wrong)
    assert "<script>document" not in text
    assert text.count("&lt;script&gt;document") >= 4  # decoder, failure, skip, excuse


def test_failures_come_first(wrong: Run, small: Manifest) -> None:
    text = as_html(wrong)
    statuses = re.findall(r'<tr data-status="([\w-]+)"', text)
    assert len(statuses) == len(small.vectors)
    assert statuses == sorted(statuses, key=["fail", "skip", "pass", "not-applicable"].index)
    assert statuses.count("fail") == wrong.counts["fail"] == 3


def test_first_difference_is_shown(wrong: Run) -> None:
    found = next(one for one in wrong.results if one.vector.name == "raw-float32").difference
    assert found is not None
    text = as_html(wrong)
    assert found.index == (0, 0, 1)
    for part in (found.got_bits, found.wanted_bits, "1 of 256", "refcodec inspect"):
        assert part in text
    assert str(found) not in text  # a table, not a sentence


def test_links_lead_into_the_specification() -> None:
    """Each clause has a page of that name, whose heading has its number."""
    for first, name in PAGES.items():
        source = ROOT / "spec" / f"{name}.rst"
        if not source.exists():
            source = ROOT / "docs" / "spec" / f"{name}.rst"
        assert source.exists(), name
        assert name.startswith((first, f"0{first}"))
    assert {number.partition(".")[0] for number in clause_titles()} <= set(PAGES)
    link = clause_html("8.3.7", "https://example.org/dfc/")
    assert 'href="https://example.org/dfc/spec/08-decoding.html#clause-8.3.7"' in link
    assert "title=" in link
    assert "<a" not in clause_html("8.3.7", "")
    assert "href" not in clause_html('"><b>', "https://example.org")
    assert "<b>" not in clause_html('"><b>', "https://example.org")


def test_page_has_the_anchors_of_the_site() -> None:
    """The extension that makes the anchors of clauses has the form that links use."""
    text = (ROOT / "docs" / "_ext" / "markup.py").read_text(encoding="utf-8")
    assert 'anchor = f"clause-{number}"' in text


def test_command_line(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    words = ("--only", "raw-*", "--html", target, "--docs", "https://example.org/dfc")
    run("conformance", "run", *words)
    text = target.read_text(encoding="utf-8")
    assert "conformity is not shown" in text
    assert "https://example.org/dfc/spec/08-decoding.html#clause-8.3.1" in text


# --- in a browser ----------------------------------------------------------------------------------

VISIBLE = """
function visible() {
  return Array.from(document.querySelectorAll("#rows > tr")).filter(function (row) { return !row.hidden; })
    .map(function (row) { return row.querySelector(".vector").lastChild.textContent; });
}
function type(text) {
  const field = document.getElementById("text");
  field.value = text;
  field.dispatchEvent(new Event("input"));
  return visible();
}
function press(key) { document.dispatchEvent(new KeyboardEvent("keydown", {key: key, cancelable: true})); }
"""


def _run(page: Path, script: str, *, width: int = 1280, state: str = "") -> Any:
    """The value of an expression on the page."""
    place = f"#{state}" if state else ""
    return result_of(page, f"{VISIBLE} return {script};", size=(width, 900), place=place)


def test_everything_is_shown_at_first(page: Path, small: Manifest) -> None:
    assert sorted(_run(page, "visible()")) == sorted(one.name for one in small.vectors)
    assert _run(page, "document.title").startswith("DFC conformance of a decoder <script>")


def test_search(page: Path) -> None:
    assert _run(page, "type('crc')") == ["unit-crc"]
    assert _run(page, "type('CODER:RAW 8.3.1 float16')") == ["raw-float16"]
    found = "[type('no such thing'), document.getElementById('none').hidden]"
    assert _run(page, found) == [[], False]


def test_filters(page: Path) -> None:
    click = "document.querySelector('button[data-status={}]').click()"
    fail, skip = click.format("fail"), click.format("skip")
    assert sorted(_run(page, f"({fail}, visible())")) == ["no-index", "raw-float32", "unit-crc"]
    assert _run(page, f"({fail}, {skip}, visible())")[-1] == "zlib-float32"
    assert len(_run(page, f"({fail}, {skip}, {fail}, visible())")) == 1
    choose = """(document.getElementById('decoder').value = 'reject',
        document.getElementById('decoder').dispatchEvent(new Event('change')), visible())"""
    assert sorted(_run(page, choose)) == ["header-cut", "unit-crc"]


def test_keyboard(page: Path) -> None:
    assert _run(page, "(press('/'), document.activeElement.id)") == "text"
    found = "(type('crc'), press('Escape'), visible().length)"
    assert _run(page, found) == _run(page, "visible().length")


def test_address_keeps_the_filter(page: Path) -> None:
    assert _run(page, "visible()", state="q=crc&status=fail") == ["unit-crc"]
    assert _run(page, "visible()", state="status=skip") == ["zlib-float32"]
    assert len(_run(page, "visible()", state="profile=nonsense")) == len(CHOSEN)
    assert _run(page, "(type('crc'), location.hash)") == "#q=crc"


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_page_is_not_wider_than_the_window(page: Path, width: int) -> None:
    script = "[document.documentElement.scrollWidth, window.innerWidth]"
    needed, there = _run(page, script, width=max(width, 360))
    assert needed <= there <= max(width, 500)  # Chromium's windows have a least width
