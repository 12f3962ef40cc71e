"""The plug-in of pytest, as a third party uses it: in a pytest of its own."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from tomllib import loads

import numpy as np
import pytest

from refcodec.hashes import little_endian_bytes
from refcodec.reader import open_stream
from refcodec.suite.manifest import load_manifest
from refcodec.suite.run.cases import Case
from refcodec.suite.run.selection import Scope

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[1]
MODULE = "refcodec.suite.pytest_plugin"
SUITE = load_manifest(ROOT / "bitstreams")

DECODER_TEST = """
    from refcodec.errors import StreamError
    from refcodec.reader import open_stream

    def test_decoder(dfc_vector):
        try:
            features = list(open_stream(dfc_vector.path))
        except StreamError as error:
            dfc_vector.check_rejected(error.reject)
        else:
            dfc_vector.check(features)
"""


def pytest_of_others(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    """A run of pytest with the plug-in, also where refcodec was installed before it had one."""
    installed = {one.value for one in entry_points(group="pytest11")}
    plugin = [] if MODULE in installed else ["-p", MODULE]
    return pytester.runpytest_subprocess(*plugin, "-p", "no:randomly", *options)


@pytest.fixture
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """This checkout, in the processes that a test starts."""
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=":")


pytestmark = pytest.mark.usefixtures("_importable")


def test_entry_point() -> None:
    project = loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"dfc": MODULE}


def test_a_decoder_runs_over_vectors(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(DECODER_TEST)
    options = ["--dfc-only", "no-index,raw-float16", "--dfc-only=unit-crc,native-1x1"]
    done = pytest_of_others(pytester, "-v", *options, "--dfc-profile", "lossless")
    done.assert_outcomes(passed=3)
    done.stdout.fnmatch_lines(["*test_decoder?DFC-V-0002-raw-float16? PASSED*"])


def test_a_wrong_decoder_fails_with_the_difference(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_empty(dfc_accepted):
            dfc_accepted.check(b"")

        def test_class(dfc_rejected):
            dfc_rejected.check_rejected("hash")

        def test_accepting(dfc_rejected):
            dfc_rejected.check([])
        """
    )
    names = ("raw-float16", "unit-crc")
    done = pytest_of_others(pytester, *(f"--dfc-only={name}" for name in names))
    done.assert_outcomes(failed=3)
    text = done.stdout.str()
    assert "DFC-V-0002-raw-float16 (clauses 7.2, 7.3" in text
    assert "rejected as hash; the class is checksum" in text
    assert "accepted; it must be rejected as checksum" in text


def test_fixtures_divide_the_suite(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_all(dfc_vector, dfc_suite): assert dfc_vector.vector in dfc_suite.vectors
        def test_accepted(dfc_accepted): pass
        def test_rejected(dfc_rejected): pass
        """
    )
    done = pytest_of_others(pytester, "-q", "--dfc-level", "1")
    scope = Scope.parse(levels=["1"])
    level = [vector for vector in SUITE.vectors if not scope.objection(SUITE, vector)]
    assert 300 < len(level) < len(SUITE.vectors)
    done.assert_outcomes(passed=2 * len(level))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--dfc-only=no such vector", "no vector matches only 'no such vector'"),
        ("--dfc-profile=nativ", "there is no profile 'nativ' (did you mean native?)"),
        ("--dfc-suite=nowhere", "there is no manifest.json in nowhere"),
    ],
)
def test_wrong_options(pytester: pytest.Pytester, option: str, message: str) -> None:
    pytester.makepyfile("def test_one(dfc_vector): pass")
    done = pytest_of_others(pytester, option)
    assert done.ret != pytest.ExitCode.OK
    assert "_caller.py" not in done.stdout.str()  # no traceback
    assert message in done.stdout.str() + done.stderr.str()


def test_who_does_not_use_it_does_not_pay(pytester: pytest.Pytester) -> None:
    """Nothing of refcodec is imported but the plug-in, nor what refcodec depends on; no test is changed."""
    pytester.makepyfile(
        """
        import sys

        def test_one(request):
            ours = {name for name in sys.modules if name.startswith("refcodec")}
            assert ours == {"refcodec", "refcodec.suite", "refcodec.suite.pytest_plugin"}
            assert not {"numpy", "numba", "construct", "jsonschema"} & set(sys.modules)
            assert request.fixturenames == ["request"]
        """
    )
    others = ("-p", "no:hypothesispytest", "-p", "no:zarr")
    done = pytest_of_others(pytester, *others, "-W", "error")
    done.assert_outcomes(passed=1)


# --- checks ----------------------------------------------------------------------------------------


def _case(name: str) -> Case:
    vector = SUITE.named(name)
    return Case(vector, SUITE.path(vector))


def test_features_are_arrays_or_bytes() -> None:
    case = _case("no-index")
    with open_stream(case.path) as reader:
        features = list(reader)
    case.check(features)
    case.check(iter(features))
    case.check(b"".join(map(little_endian_bytes, features)))
    with pytest.raises(AssertionError, match="shapes and types"):
        case.check([one.astype(np.float64) for one in features])
    with pytest.raises(AssertionError, match="shapes and types"):
        case.check([np.ascontiguousarray(one.T) for one in features])
    with pytest.raises(AssertionError, match="shapes and types"):
        case.check(features[:-1])
    with pytest.raises(AssertionError, match="feature 1"):
        case.check([features[0], features[0], features[2]])
    with pytest.raises(AssertionError, match="a decoder must accept it"):
        case.check_rejected("checksum")


def test_either_may_be_accepted_or_rejected() -> None:
    case = _case("index-missing")
    case.check_rejected("constraint")
    with open_stream(case.path) as reader:
        case.check(reader)
    with pytest.raises(AssertionError, match="the class is constraint"):
        case.check_rejected("order")
