"""What the pages of the site derive from the reference software, the suite and the machine."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Callable
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refcodec.coders.native.payload import decode_payload
from refcodec.coders.native_lossless.payload import decode_words
from refcodec.coders.native_static.contexts import first_tables, tables
from refcodec.coders.native_static.payload import decode_payload as decode_static
from refcodec.ranges import convert_reference
from refcodec.syntax import structures
from refcodec.syntax.tabulate import tabulate

ROOT = Path(__file__).parents[1]

Load = Callable[[str], Any]


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> Load:
    """A module of the site, by its name."""
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    earlier = set(sys.modules)

    def load(name: str) -> Any:
        module = importlib.import_module(name)
        for new in set(sys.modules) - earlier:
            if Path(getattr(sys.modules[new], "__file__", None) or "").parent.name == "_ext":
                monkeypatch.delitem(sys.modules, new)
        return module

    return load


def test_tables_say_what_can_be_absent(extension: Load) -> None:
    parameter_set = tabulate(structures.FEATURE_PARAMETER_SET)
    compared = extension("generated").compared_absent
    assert compared(parameter_set, parameter_set) == [
        "range_per_channel_flag",
        "hevc_lossless_flag",
        "lattice_offset_flag",
    ]
    own = compared(tabulate(structures.FEATURE_PARAMETERS), parameter_set)
    assert own == [
        "range_min_zero_flag",
        "restoration_mode",
        "channel_order",
        "fps.restoration_enabled_flag",
    ]
    assert compared(tabulate(structures.INDEX), parameter_set) == []


def payload(decisions: Any, name: str, number: int) -> Any:
    """A payload of a vector, and the feature before it."""
    stream = (ROOT / "bitstreams" / "valid" / name / "stream.dfc").read_bytes()
    return next(islice(decisions.payloads(stream), number, None))


@pytest.mark.parametrize(
    ("name", "number"),
    [("native-blocks-8", 0), ("native-sequence-no-index", 1), ("native-restoration-channel", 0)],
)
def test_traced_decisions_are_those_of_the_decoder(name: str, number: int, extension: Load) -> None:
    decisions = extension("decisions")
    one, before = payload(decisions, name, number)
    converted = None
    if not one.access_point:
        converted = convert_reference(before.samples, before.parameters, one.parameters, one.fps)
    plain = decisions.interpreted(lambda _, function: function)["decode_payload"]
    assert np.array_equal(plain(one, converted), decode_payload(one, converted))
    found = decisions.first_decisions(one, before, "code_head", within=False)
    assert len(found) == decisions.SHOWN
    assert found[0].asked == "code_split: SPLIT, flag 0"
    for earlier, later in pairwise(found):
        width = earlier.width * later.probability >> 16
        if not later.bit:
            width = earlier.width - width
        assert later.width == width << 8 * (later.read - earlier.read)


@pytest.mark.parametrize("start", ["decode_substream", "code_tree", "code_corrections"])
def test_traced_symbols_are_those_of_the_decoder(start: str, extension: Load) -> None:
    symbols = extension("symbols")
    one, _ = payload(extension("decisions"), "static-gains", 0)
    samples = np.empty((one.fps.channels, one.fps.height, one.fps.width), np.int32)
    decode = symbols.interpreted(lambda _, function: function)["decode_substream"]
    decode(one, one.data, range(one.fps.channels), samples)
    assert np.array_equal(samples, decode_static(one))
    found = symbols.first_symbols(one, start)
    assert len(found) == symbols.SHOWN
    for earlier, later in pairwise(found):
        assert earlier.after == later.before  # of the only lane
        slot = later.before % 2**14
        assert 0 <= slot - later.low < later.frequency
        state = later.frequency * (later.before >> 14) + slot - later.low
        taken = later.words - earlier.words
        assert later.after >> 16 * taken == state
        assert taken == (state < 2**16)
        assert later.table == first_tables()[later.context]
        begin = tables().begin[later.table] + later.symbol
        assert tables().bounds[begin] == later.low


@pytest.mark.parametrize("name", ["exact-repeats", "exact-fast-plain"])
def test_traced_words_are_those_of_the_decoder(name: str, extension: Load) -> None:
    decisions = extension("decisions")
    one, before = payload(decisions, name, 0)
    plain = decisions.interpreted(lambda _, function: function)["decode_words"]
    words = decode_words(one.data, one.fps)
    assert np.array_equal(plain(one.data, one.fps), words)
    if name == "exact-fast-plain":
        rows, _ = decisions.first_ranks(one)
        assert [row["word"] for row in rows] == words.ravel()[: len(rows)].tolist()
    else:
        found = decisions.first_decisions(one, before, "start_decoding", within=False)
        assert {"zero", "step", "bit", "repeat"} == {decision.asked for decision in found}


def test_verdicts_on_vectors(extension: Load) -> None:
    expected = extension("vectors")._expected
    assert expected({"decoder": "accept"}) == "decodes"
    assert expected({"decoder": "reject", "violation": {"class": "order"}}) == "refuses: order"
    several = {"class": "constraint", "also": ["payload"]}
    assert expected({"decoder": "either", "violation": several}) == (
        "decodes, or refuses: constraint, payload"
    )
    for vector in json.loads((ROOT / "bitstreams" / "manifest.json").read_text())["vectors"]:
        assert expected(vector)


def test_without_a_chromium_there_is_no_pdf(
    extension: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    editions = extension("editions")
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "none"))
    assert editions.printer() is None
    monkeypatch.setenv("CHROMIUM", sys.executable)
    assert editions.printer() == shutil.which(sys.executable)
    monkeypatch.delenv("CHROMIUM")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert editions.printer() is None
    assert editions.edition_of(ROOT / "docs") == "1.0"


def test_columns_of_tables_have_the_width_of_their_cells(extension: Load) -> None:
    """Plain text wraps cells at it; HTML goes by the content."""
    rows = [["``reserved_zero_2bits``", "u(2)"], ["x", "long " * 40]]
    made = extension("generated").table(["Syntax", "Descriptor"], rows)
    widths = [one["colwidth"] for one in made.findall(lambda node: node.tagname == "colspec")]
    assert widths == [len("reserved_zero_2bits") + 2, 60]
    assert "colwidths-auto" in made["classes"]


def test_lines_of_code_know_their_indentation(extension: Load) -> None:
    lexers = pytest.importorskip("pygments.lexers")
    formatter = extension("wrapping").HangingFormatter()
    pygments = pytest.importorskip("pygments")
    text = pygments.highlight("if a < b:\n    c()\n", lexers.PythonLexer(), formatter)
    assert text.count('<span class="hang"') == 2
    assert '<span class="hang" style="--indent:4">' in text
