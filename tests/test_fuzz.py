"""Damage under right checksums: nothing but the project's own errors, and two judges that agree."""

from __future__ import annotations

import importlib
import io
import json
import random
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from variation import PATIENCE

import refcodec
from refcodec.errors import StreamError
from refcodec.suite.assemble import Set, edit_from_json
from refcodec.syntax.bits import BitWriter
from refcodec.syntax.descriptors import Leb128
from refcodec.syntax.structures import STREAM_HEADER_SIZE
from refcodec.syntax.units import read_unit

VALID = sorted((Path(__file__).parents[1] / "bitstreams" / "valid").glob("*/stream.dfc"))
ROUNDS = 40


def take_apart(data: bytes) -> tuple[bytes, list[tuple[int, int, bytes]]]:
    """The stream header, and skippable_flag, unit_type and payload of each unit."""
    source, offset, units = io.BytesIO(data[STREAM_HEADER_SIZE:]), STREAM_HEADER_SIZE, []
    while unit := read_unit(source, offset, 1 << 32):
        units.append((unit.skippable_flag, unit.unit_type, unit.payload))
        offset = unit.end
    return data[:STREAM_HEADER_SIZE], units


def put_together(header: bytes, units: list[tuple[int, int, bytes]]) -> bytes:
    """The stream of these units, with right sizes and CRCs, whatever their types and flags."""
    stream = header
    for flag, kind, payload in units:
        size = BitWriter()
        Leb128().write(size, len(payload), None)
        unit = bytes([flag << 7 | kind]) + size.getvalue() + payload
        stream += unit + zlib.crc32(unit).to_bytes(4, "big")
    return stream


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Flip, insert or delete some bits or bytes of one payload; or move, drop or rename a unit."""
    header, units = take_apart(data)
    at = chance.randrange(len(units))
    flag, kind, payload = units[at]
    place = chance.randrange(len(payload) or 1)
    match chance.choice(["flip"] * 5 + ["insert", "delete", "copy", "drop", "rename"]):
        case "flip" if payload:
            changed = bytearray(payload)
            changed[place] ^= 1 << chance.randrange(8)
            units[at] = flag, kind, bytes(changed)
        case "insert":
            units[at] = flag, kind, payload[:place] + chance.randbytes(4) + payload[place:]
        case "delete":
            units[at] = flag, kind, payload[:place] + payload[place + 3 :]
        case "copy":
            units.insert(chance.randrange(len(units) + 1), units[at])
        case "drop":
            del units[at]
        case _:
            units[at] = flag, chance.randrange(128), payload
    return put_together(header, units)


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.parent.name)
def test_damage_ends_in_an_error_or_in_features(path: Path) -> None:
    assert VALID
    rounds = 4 if path.parent.name.startswith("hevc") else ROUNDS  # each starts ffmpeg
    data, chance = path.read_bytes(), random.Random(path.parent.name)
    for _ in range(rounds):
        stream = damaged(data, chance)
        report = refcodec.validate(stream)
        refcodec.inspect(stream)
        refused = ""
        try:
            list(refcodec.open(io.BytesIO(stream)))
        except StreamError as error:
            refused = str(error)
        assert report.violations or not refused, "the validator finds nothing"


@pytest.fixture
def campaign(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The fuzzer, ``tools/fuzz``."""
    for folder in ("bench", "fuzz"):
        monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "tools" / folder))
    return importlib.import_module("campaign")


@pytest.mark.slow
def test_the_fuzzer_finds_nothing(campaign: Any) -> None:
    """A minute of structure-aware cases, in a process with a budget of memory and time for each."""
    tally = campaign.run(0, seed=1, seconds=PATIENCE, most=3000)
    assert tally.inputs == 3000
    assert tally.findings == {}
    assert len(tally.refused) > 5  # the edits reach many a check


def test_a_case_is_its_number_and_its_edits(campaign: Any, tmp_path: Path) -> None:
    mutations = importlib.import_module("mutations")
    for number in range(20):
        one = campaign.case(number, 3)
        assert campaign.case(number, 3) == one
        stream = mutations.seeds()[one.origin]
        for edit in one.edits:
            stream = edit_from_json(edit)(stream)
        assert stream == one.stream
    place = campaign.save(one, ["a finding"], tmp_path)
    assert place.read_bytes() == one.stream
    assert json.loads(place.with_suffix(".json").read_text(encoding="utf-8"))["edits"] == one.edits


def _fails(*source: Any, **options: Any) -> Any:
    raise KeyError("no")


def _content(*source: Any, **options: Any) -> Any:
    return refcodec.Report()


@pytest.mark.parametrize(
    ("validator", "finding"),
    [
        (_fails, "validate: KeyError at test_fuzz"),
        (_content, "validator: nothing wrong; decoder: "),
    ],
)
def test_what_a_wrong_validator_does_is_a_finding(
    validator: Any, finding: str, campaign: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refcodec, "validate", validator)
    stream = next(path for path in VALID if path.parent.name == "raw-float32").read_bytes()
    (found,) = importlib.import_module("verdicts").judge(stream[:-1]).findings
    assert found.startswith(finding)


def test_an_inspector_passes_over_payloads_whose_parameters_are_unsound() -> None:
    vector = VALID[0].parents[2] / "invalid" / "order-beyond-channels" / "stream.dfc"
    units = refcodec.inspect(vector)
    assert [unit.problem[:41] for unit in units if unit.problem] == [
        "channel_at is no permutation of the chann"
    ]
    assert units[-1].name == "end"


def test_after_an_error_in_a_sequence_its_features_are_still_told_apart() -> None:
    """The error of a later feature is raised for that one, whatever was asked for before."""
    target = io.BytesIO()
    with refcodec.create(target, coder="native", gop=8, index=False) as writer:
        for scale in range(1, 7):
            writer.write(np.linspace(0, scale, 64, dtype=np.float32).reshape(1, 8, 8))
    stream = Set(4, "coded_feature.payload", "")(target.getvalue())
    with refcodec.open(io.BytesIO(stream)) as reader:
        wanted = [reader[number] for number in (0, 1)]
        for number in (2, 1, 3, 0, 5, 2, 1, 5):
            if number < 2:
                assert np.array_equal(reader[number], wanted[number])
            else:
                with pytest.raises(StreamError):
                    reader[number]
