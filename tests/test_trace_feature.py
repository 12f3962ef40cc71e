"""The tracer of tools/, on a package made for it."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(__file__).parents[1] / "tools"

HOUSE = {
    "__init__.py": "",
    "front.py": """
        from house import back, middle, names

        def run():
            for _ in middle.items():
                names.label()
            back.store(hold)
            middle.finish()
            return [names.label() for _ in range(2)]

        def hold():
            pass
        """,
    "middle.py": """
        from house import names

        def items():
            yield names.label()
            yield names.label()

        def finish():
            return sum(int(names.label()) for _ in range(2))
        """,
    "back/__init__.py": """
        from house.back.inner import put

        def store(call):
            put(call)
        """,
    "back/inner.py": """
        def put(call):
            call()
        """,
    "names.py": """
        def label():
            return "7"
        """,
}
"""A package whose ``front`` comes back to ``middle``, and is called back by ``back``."""


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(TOOLS)
    return importlib.import_module("trace_feature")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module ``house.front``."""
    for name, text in HOUSE.items():
        place = tmp_path / "house" / name
        place.parent.mkdir(exist_ok=True)
        place.write_text("\n".join(line.removeprefix(" " * 8) for line in text.splitlines()))
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("house.front")
    for name in [name for name in sys.modules if name.partition(".")[0] == "house"]:
        del sys.modules[name]


@pytest.fixture
def found(tool: Any, house: Any) -> Any:
    return tool.trace(house.run, Path(house.__file__).parent)


def test_calls_and_switches(found: Any) -> None:
    front, middle, names, back, inner = (
        *("front.py", "middle.py", "names.py"),
        *("back/__init__.py", "back/inner.py"),
    )
    loop = [front, middle, names, names, names, names]
    assert found.files == [*loop, back, inner, front, middle, *[names] * 4]
    figures = found.as_json()
    assert figures["calls"] == 14
    assert figures["files"] == sorted({front, middle, names, back, inner})
    assert (figures["file_switches"], figures["room_switches"]) == (7, 6)
    assert found.as_json(without=["names.py"])["file_switches"] == 5


def test_a_room_that_is_entered_again(found: Any) -> None:
    figures = found.as_json(1)
    assert figures["rooms"] == ["front", "middle", "back"]
    assert figures["entered_again"] == {"middle": 1}
    assert figures["called_back"] == {"front": 1}


def test_leaf_helpers_come_from_the_trace(found: Any) -> None:
    assert found.as_json(1)["helpers"] == {"names": 8}
    assert found.helpers(0) == []
    assert found.as_json(0)["entered_again"] == {"middle": 1, "names": 1}
    assert (
        found.helpers() == found.helpers(2) == ["middle", "names"]
    )  # back calls front, which is none


def test_going_on_with_a_generator_is_no_entry(found: Any) -> None:
    assert found.count("resumed") == {"middle": 2}
    assert found.resumed == 2 + 3  # of middle.items; of the sum's generator


def test_an_error_ends_the_trace(tool: Any, tmp_path: Path) -> None:
    before = sys.getprofile()
    with pytest.raises(ZeroDivisionError):
        tool.trace(lambda: 1 // 0, tmp_path)
    assert sys.getprofile() is before


def test_table_tree_and_json(tool: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main(["--coder", "raw", "--tree"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("encode", "decode", "validate", "entered again"))
    assert tool.main(["--coder", "raw", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert list(figures) == ["encode", "decode", "validate"]
    assert all(one["calls"] > one["file_switches"] > 0 for one in figures.values())


@pytest.mark.parametrize("coder", ["native", "native-lossless", "zlib"])
def test_a_feature_passes_every_room_once(coder: str, tool: Any) -> None:
    """The way of one feature through refcodec itself, in the order of the data."""
    ways = {
        "encode": ["writer", "config", "encoder", "quantise", "coders", "hashes"],
        "decode": ["reader", "stream", "decoder", "coders", "quantise"],
        "validate": ["validator", "stream", "decoder", "coders", "quantise"],
    }
    for name, found in tool.trace_feature(coder, (2, 8, 8)).items():
        assert [room for room in found.rooms() if room in ways[name]] == ways[name]
        figures = found.as_json()
        again = figures["entered_again"]
        if name == "validate":  # once the feature is decoded, the walk goes on to the end unit
            assert again.pop("stream", 1) == 1
        assert again == {}
        assert figures["called_back"] == {}
