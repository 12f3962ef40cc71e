"""``refcodec inspect``: bits, places, and the page for a browser."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import result_of
from command import CALL_AT_FAULT, run

import refcodec
from refcodec.dump import bits_of, hex_rows
from refcodec.suite.assemble import disassemble
from refcodec.viewer import page_of

SUITE = Path(__file__).parents[1] / "bitstreams"
STREAMS = sorted(SUITE.glob("*/*/stream.dfc"))
DEFECT = SUITE / "invalid" / "order-beyond-channels" / "stream.dfc"


# --- bits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", STREAMS[::7], ids=lambda path: path.parent.name)
def test_bits_are_those_that_the_assembler_writes(path: Path) -> None:
    data = path.read_bytes()
    try:
        pieces = disassemble(data)
    except refcodec.DFCError:
        pytest.skip("the stream cannot be taken apart")
    assert pieces
    for unit in refcodec.inspect(data):
        for element in unit.elements:
            whole = bits_of(data, element, most=1 << 30)
            start = element.offset
            wanted = "".join(f"{byte:08b}" for byte in data[start // 8 : start // 8 + 9])
            assert whole[:64] == wanted[start % 8 :][: min(64, element.width)]


def test_long_elements_are_cut() -> None:
    data = refcodec.encode(np.arange(64, dtype=np.float32), coder="raw")
    elements = [one for unit in refcodec.inspect(data) for one in unit.elements]
    payload = max(elements, key=lambda one: one.width)
    assert payload.width == 8 * 256
    assert bits_of(data, payload) == "00 00 00 00 00 00 80 3f …"
    assert list(hex_rows(data, 17, 40)) == [(16, data[16:32]), (32, data[32:48])]


def test_bits_of_all_elements() -> None:
    lines = run("inspect", DEFECT, "--bits").stdout.splitlines()
    (line,) = (line for line in lines if " level_idc " in line)
    assert line.split() == ["48", "4", "0001", "u(4)", "level_idc", "1"]
    found = json.loads(run("inspect", DEFECT, "--bits", "--json").stdout)
    assert found[0]["elements"][0]["bits"] == "89 44 46 43"
    assert "bits" not in json.loads(run("inspect", DEFECT, "--json").stdout)[0]["elements"][0]
    piped = run("inspect", "-", "--bits", stdin=DEFECT.read_bytes()).stdout
    assert piped.splitlines() == lines


# --- one place -------------------------------------------------------------------------------------


def test_a_violation_names_the_command_that_shows_its_place() -> None:
    told = run("validate", DEFECT, status=1).stdout
    command = re.search(r"see: refcodec (inspect \S+ --at \d+)", told)
    assert command
    shown = run(*command[1].split()).stdout
    assert shown.splitlines()[0] == f"{DEFECT}: bit 866, bit 2 of byte 108"
    assert re.search(r"^>\s+866\s+80 .* channel_at ", shown, re.MULTILINE)
    assert "[5e][e6][b1][6a]\n" in shown
    assert "constraint: channel_at is no permutation of the channels [bit 866" in shown


@pytest.mark.parametrize("path", STREAMS[::9], ids=lambda path: path.parent.name)
def test_every_violation_can_be_looked_at(path: Path) -> None:
    size = 8 * path.stat().st_size
    found = [one.bit_offset for one in refcodec.validate(path).violations]
    for bit in {0, size - 1, *(one for one in found if one is not None)}:
        if 0 <= bit < size:
            shown = run("inspect", path, "--at", bit).stdout
            assert f": bit {bit:,}, bit {bit % 8} of byte {bit // 8:,}" in shown
            assert f"[{path.read_bytes()[bit // 8]:02x}]" in shown


def test_places_and_views_that_are_refused(tmp_path: Path) -> None:
    size = 8 * DEFECT.stat().st_size
    told = run("inspect", DEFECT, "--at", size, status=CALL_AT_FAULT).stderr
    assert f"has {size:,} bits" in told
    for views in (
        ["--at", "1", "--json"],
        ["--at", "1", "--bits"],
        ["--html", tmp_path / "x.html", "--bits"],
        ["--html", tmp_path / "x.html", "--at", "1"],
        ["--force"],
    ):
        run("inspect", DEFECT, *views, status=CALL_AT_FAULT)
    assert not (tmp_path / "x.html").exists()


# --- the page --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def conv() -> bytes:
    """Eight features of 5 x 8 x 8 with a QP for each channel, and a name that could end a script."""
    target = io.BytesIO()
    drawn = np.random.default_rng(0).normal(size=(8, 5, 8, 8)).astype(np.float32)
    metadata = {"net": "</script><script>document.title = 'broken'</script>"}
    with refcodec.create(target, coder="native", metadata=metadata) as writer:
        for feature in drawn:
            writer.write(feature, qp=[20, 22, 24, 26, 28])
    return target.getvalue()


def contents(page: str) -> Any:
    found = re.search(
        r'<script id="contents" type="application/json">(.*?)</script>', page, re.DOTALL
    )
    assert found
    return json.loads(found[1])


def test_a_page_holds_the_stream(conv: bytes) -> None:
    page = page_of(conv, "<b>.dfc")
    assert "<title>DFC stream &lt;b&gt;.dfc<" in page
    assert not re.search(
        r"(src|href)\s*=|https?://|@import|url\(", page.replace("img-src data:", "")
    )
    found = contents(page)
    units = refcodec.inspect(conv)
    assert [one["name"] for one in found["units"]] == [unit.name for unit in units]
    assert [len(one["elements"]) for one in found["units"]] == [len(u.elements) for u in units]
    assert found["report"]["conforming"]
    assert found["left_out"] == {"units": 0, "elements": 0, "bytes": 0}
    assert {tuple(one["qps"]) for one in found["coded"]} == {(20, 22, 24, 26, 28)}
    assert sum(one["features"] for one in found["coded"]) == 8
    assert [one["size"] for one in found["pictures"]] == [[5, 8, 8]] * 8


def test_a_page_of_a_stream_that_does_not_decode() -> None:
    found = contents(page_of(DEFECT.read_bytes(), "x"))
    assert [one["clause"] for one in found["report"]["violations"]] == ["9.2"]
    assert (found["coded"], found["pictures"]) == ([], [])
    assert "permutation" in found["no_pictures"]


def test_values_that_are_not_finite_have_a_place_on_a_page() -> None:
    feature = np.array([np.nan, 1.0, np.inf, -1.0, -np.inf], np.float32)
    (found,) = contents(page_of(refcodec.encode(feature, coder="raw"), "x"))["pictures"]
    assert (found["least"], found["greatest"], found["not_finite"]) == (-1, 1, 3)


def test_a_large_stream_says_what_its_page_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from refcodec.viewer import contents as module

    for name, value in (("_MOST_UNITS", 10), ("_MOST_ELEMENTS", 60), ("_MOST_BYTES", 100)):
        monkeypatch.setattr(module, name, value)
    target = io.BytesIO()
    with refcodec.create(target, coder="raw", batch=False) as writer:
        for _ in range(20):
            writer.write(np.zeros(3, np.float32))
    found = contents(page_of(target.getvalue(), "x"))
    units = refcodec.inspect(target.getvalue())
    shown = sum(len(one["elements"]) for one in found["units"])
    assert len(found["units"]) == 10
    assert shown <= 60
    assert found["left_out"] == {
        "units": len(units) - 10,
        "elements": sum(len(unit.elements) for unit in units[:10]) - shown,
        "bytes": len(target.getvalue()) - 100,
    }


def test_keys_move_through_a_page(conv: bytes, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(page_of(conv, "conv.dfc"), encoding="utf-8")
    script = """
      const chosen = () => document.querySelector(".row.chosen").textContent.trim();
      const place = () => document.querySelector("#place dd").textContent;
      const count = what => document.querySelectorAll(what).length;
      $("tree").focus();
      const path = [[chosen(), place()]];
      for (const key of ["Down", "Left", "Left", "Down", "Right", "Right"].map(way => `Arrow${way}`)
          .concat("End", "Home")) {
        press(key);
        path.push([chosen(), place()]);
      }
      press("/");
      const focused = document.activeElement.id;
      document.activeElement.value = "qp";
      document.activeElement.dispatchEvent(new Event("input"));
      path.push([chosen(), place()]);
      return {path, focused, title: document.title, marked: count("#bytes .inside"),
              charts: count(".charts canvas"), pictures: count(".pictures canvas")};
    """
    found = result_of(page, script)
    assert [place for _, place in found["path"]] == [
        "stream_header",
        "stream_header.signature",
        "stream_header",
        "stream_header",
        "metadata",
        "unit.skippable_flag",
        "unit.skippable_flag",
        "unit.unit_crc",
        "stream_header",
        "coded_feature_batch.parameters.qp",
    ]
    assert found["path"][3][0].startswith("\N{BLACK RIGHT-POINTING SMALL TRIANGLE} stream_header")
    assert found["focused"] == "search"
    assert found["title"] == "DFC stream conv.dfc"
    assert found["marked"] >= 1
    assert (found["charts"], found["pictures"]) == (3, 8)


def test_a_page_opens_at_the_violation_and_fits_a_phone(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(page_of(DEFECT.read_bytes(), "x.dfc"), encoding="utf-8")
    script = """
      const row = document.querySelector(".row.chosen").getBoundingClientRect();
      const tree = $("tree").getBoundingClientRect();
      const inside = row.top >= tree.top && row.bottom <= tree.bottom + 1;
      return {place: document.querySelector("#place dd").textContent, inside,
              verdict: $("verdict").textContent,
              wide: document.documentElement.scrollWidth, window: innerWidth};
    """
    for size in ((1280, 900), (390, 800)):
        found = result_of(page, script, size=size)
        assert found["place"] == "coded_feature.parameters.channel_at"
        assert found["inside"]
        assert found["verdict"] == "not conforming: 1 violation"
        assert found["wide"] <= found["window"]


def test_a_page_opens_at_a_bit(conv: bytes, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(page_of(conv, "conv.dfc"), encoding="utf-8")
    script = """return document.querySelector("#place dd").textContent;"""
    assert result_of(page, script, place="#bit=49") == "stream_header.level_idc"


def test_the_command_writes_a_page(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    run("inspect", DEFECT, "--html", target)
    assert contents(target.read_text(encoding="utf-8"))["name"] == "stream.dfc"
    assert "exists and is replaced" in run("inspect", DEFECT, "--html", target).stderr
    assert run("inspect", DEFECT, "--html", target, "--force").stderr == ""
