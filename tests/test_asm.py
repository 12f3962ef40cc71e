"""Text to stream and back: exact for all bytes, any element illegal if wanted, faults by line."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import refcodec
from refcodec.cli import app
from refcodec.errors import CallerError
from refcodec.inspector import inspect
from refcodec.suite.assemble import assemble
from refcodec.suite.text import asm, disasm, pieces_of

SUITE = Path(__file__).parents[1] / "bitstreams"
STREAMS = sorted(SUITE.glob("*/*/stream.dfc"))


def stream_of(name: str) -> bytes:
    return (SUITE / name / "stream.dfc").read_bytes()


RAW = stream_of("valid/raw-1-bit")
TEXT = disasm(RAW)


def edited(old: str, new: str, text: str = TEXT) -> bytes:
    assert old in text
    return asm(text.replace(old, new, 1))


def rejections(stream: bytes) -> list[tuple[str, str]]:
    return [(error.reject, error.clause) for error in refcodec.validate(stream).violations]


# --- exact -------------------------------------------------------------------------------------------


def test_every_vector_is_the_same_after_text() -> None:
    assert len(STREAMS) > 250
    for path in STREAMS:
        data = path.read_bytes()
        assert asm(disasm(data)) == data, path.parent.name
        assert assemble(pieces_of(data)) == data


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    small = [path for path in STREAMS if path.stat().st_size < 2000]
    data = bytearray(draw(st.sampled_from(small)).read_bytes())
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 9))] = draw(st.binary(max_size=9))
    return bytes(data)


@given(damaged() | st.binary(max_size=60) | st.binary(max_size=60).map(b"\x89DFC".__add__))
def test_any_bytes_are_the_same_after_text(data: bytes) -> None:
    assert asm(disasm(data)) == data


def test_comments_blank_lines_and_spaces_mean_nothing() -> None:
    spaced = "\n\n".join(f"\t{line.replace(' = ', '=')}  # so" for line in TEXT.splitlines())
    assert asm(spaced) == RAW


def test_text_and_inspector_see_the_same_elements() -> None:
    for name in ("valid/batch-ranges", "valid/metadata", "valid/index", "valid/raw-1-bit"):
        data = stream_of(name)
        shown = [(e.path, e.descriptor, e.width) for unit in inspect(data) for e in unit.elements]
        found = [(f.path, f.descriptor, len(f.bits)) for p in pieces_of(data) for f in p.fields]
        assert found == shown


# --- edits -------------------------------------------------------------------------------------------


def test_sizes_and_checksums_follow_an_edit() -> None:
    stream = edited("range_max = ", "range_max = 8.5 # not ")
    (feature,) = refcodec.open(io.BytesIO(stream))
    assert feature.max() == 8.5
    assert refcodec.validate(stream).conforming


def test_metadata_follows_its_texts() -> None:
    text = disasm(stream_of("valid/metadata"))
    stream = edited('"digits"', '"a longer text # with \\"this\\""', text)
    assert refcodec.validate(stream).conforming
    with refcodec.open(io.BytesIO(stream)) as reader:
        assert reader.metadata["network"] == 'a longer text # with "this"'


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("coder_id = raw", "coder_id = 15", ("unsupported", "C.1")),
        ("coder_id = raw", "coder_id = 14", ("unsupported", "C.1")),
        ("channels_minus1 = 15", "channels_minus1 = 16777216", ("syntax", "7.4")),
        ("coder_id = raw", "coder_id = raw\n alignment = 0b0000100", ("syntax", "4.4")),
        ("unit end", "unit end\n unit_crc = 1", ("checksum", "8.2")),
        ("reserved_zero_2bits = 0", "reserved_zero_2bits = 0\n header_crc = 0", ("checksum", "8.2")),
        ("unit end", "bytes = 00\nunit end", ("truncated", "6.3")),
        ("unit end", "unit 99\n unit_payload = 0102\nunit end", None),
        ("unit end", "unit 99\n skippable_flag = 0\n unit_payload =\nunit end", ("unsupported", "C.1")),
        ("unit end", "unit end\n unit_size = 0b 10000000 00000000", ("syntax", "4.4")),
        ("unit end", "unit end\n unread = 00", ("truncated", "7.10")),
        ("coder_id = raw", "coder_id = raw\n + more: u(13) = 1", ("syntax", "6.4")),
        ("fps_id = 0\n    parameters", "fps_id = 7\n    parameters", ("order", "9.1")),
        ("quantiser = uniform", "quantiser: u(4) = 1", ("syntax", "6.4")),
    ],
)  # fmt: skip
def test_any_element_may_be_illegal(old: str, new: str, expected: tuple[str, str] | None) -> None:
    found = rejections(edited(old, new))
    assert found[:1] == ([expected] if expected else [])


def test_an_element_that_is_asked_for_can_be_absent() -> None:
    shorter = edited(
        "shuffle_flag = 0", "shuffle_flag = absent", disasm(stream_of("valid/zlib-float32"))
    )
    assert asm(disasm(shorter)) == shorter  # an alignment bit takes its place
    with pytest.raises(
        CallerError, match=r"line 6: stream_header has no level_idc, u\(4\), before"
    ):
        edited("    level_idc = 1\n", "", "stream_header\n" + TEXT.partition("stream_header\n")[2])


def test_the_illegal_unit_of_the_guide() -> None:
    guide = Path(__file__).parents[1] / "docs" / "guides" / "make-your-own-vectors.rst"
    examples = re.findall(
        r"code-block:: text\n\n((?: {3}.*\n|\n)+)", guide.read_text(encoding="utf-8")
    )
    illegal = next(one for one in examples if "absent" in one)
    text = disasm(stream_of("valid/native-conv"))
    stream = asm(text.partition("unit coded_feature")[0] + illegal)
    assert b"\x02\x80\x00" in stream  # a coded feature, and its size in two bytes
    assert stream.endswith(b"\0\0")
    assert asm(disasm(stream)) == stream
    assert rejections(stream) == [("syntax", "4.4")]


# --- faults ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stream_header\n signature", "line 2: 'signature' is no line"),
        ("stream_header\n signature = 0", "line 2: signature: 1 hexadecimal digits make no whole"),
        ("stream_header\n signature = 00", "line 2: signature: 1 bytes for b\\(32\\)"),
        ("stream_header\n signature = zz", "line 2: signature: 'z' among hexadecimal digits"),
        ("stream_header\n version_major = 1", "line 2: stream_header has no signature, b\\(32\\), bef"),
        ("unit nothing", "line 1: unit nothing: no type"),
        ("unit 128", "line 1: unit 128: no type"),
        ("fps_id = 0", "line 1: fps_id is in no unit"),
        ("\nbytes = 00\nbits = 1", "line 3: bits is in no unit"),
        ("unit hash\n hash_target = 300", "line 2: hash_target: 300 does not fit u\\(8\\)"),
        ("unit hash\n hash_target = sample", "line 2: hash_target: 'sample' is none of samples, rec"),
        ("unit hash\n hash_target: u(x) = 3", "line 2: hash_target: there is no coding 'u\\(x\\)'"),
        ("unit hash\n hash_target = 1 2", "line 2: hash_target: '1 2' is no single value"),
        ("unit hash\n hash_target = 0b012", "line 2: hash_target: '2' among bits"),
        ("unit hash\n hash_target = 0", "line 1: hash has no sha256, b\\(256\\), at its end"),
        ("unit end\n qp = 3\n", "line 2: end has no index_offset, u\\(64\\), before qp"),
        ("unit coded_feature\n fps_id = 7\n qp = 0", "line 3: qp has no place here: there is no fea"),
        ("unit end\n + qp = 1", "line 2: \\+ qp has no coding"),
        ("unit 3\n + qp: u(3) = 1", "line 1: coded_feature_batch has no fps_id"),
        ("unit 9\n unit_payload = 00\n + qp: u(3) = 1", "line 1: the elements below make no whole"),
        ('unit 9\n unit_payload = "a', "line 2: a quotation mark has no partner"),
        ("unit index\n entry_count = 1*3", "line 2: entry_count: '1\\*3' is no integer"),
        ("unit index\n entry_count = -1", "line 2: entry_count: -1 is negative"),
    ],
)  # fmt: skip
def test_faults_name_their_line(text: str, message: str) -> None:
    with pytest.raises(CallerError, match=f"^{message}"):
        asm(text)


def test_arrays_are_checked_against_their_declaration() -> None:
    text = disasm(stream_of("valid/batch-ranges"))
    with pytest.raises(CallerError, match=r"low_code: 3 values for u\(11\)\[8\]"):
        edited("low_code = ", "low_code = 1 2 3 # ", text)
    with pytest.raises(CallerError, match="more items than any feature"):
        edited("low_code = ", "low_code = 1*999999999 # ", text)
    same = edited("low_code = ", "low_code = 1*7 2*1 # ", text)
    assert "low_code = 1*7 2" in disasm(same)


# --- command line ------------------------------------------------------------------------------------


def test_command_line(tmp_path: Path) -> None:
    stream, text, again = (tmp_path / name for name in ("a.dfc", "a.txt", "b.dfc"))
    stream.write_bytes(RAW)
    run = CliRunner().invoke
    assert run(app, ["disasm", str(stream)]).output == TEXT
    assert run(app, ["disasm", str(stream), str(text)]).exit_code == 0
    assert run(app, ["asm", str(text), str(again)]).exit_code == 0
    assert again.read_bytes() == RAW
    text.write_text("unit end\n more = 1\n", encoding="utf-8")
    failed = run(app, ["asm", str(text), str(again), "--force"])
    assert (failed.exit_code, again.read_bytes()) == (2, RAW)
    assert "line 2: end has no index_offset" in failed.output
    text.write_bytes(b"unit end\n\xff")
    assert "line 2: byte 9 is no UTF-8" in run(app, ["asm", str(text), str(again)]).output
