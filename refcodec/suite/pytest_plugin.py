"""A plug-in of pytest: tests with the fixture ``dfc_vector`` run once for each vector of the suite.

    def test_my_decoder(dfc_vector):
        try:
            features = my_decoder.decode(dfc_vector.data)
        except my_decoder.Rejected as error:
            dfc_vector.check_rejected(error.dfc_class)
        else:
            dfc_vector.check(features)

The entry point ``dfc`` of the distribution loads this module in every run of pytest, so it imports nothing of
refcodec until a test asks for a vector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from refcodec.suite.cases import Case
    from refcodec.suite.manifest import Manifest

__all__ = ["dfc_suite", "pytest_addoption", "pytest_generate_tests"]

_DECISIONS = {
    "dfc_vector": ("accept", "reject", "either"),
    "dfc_accepted": ("accept", "either"),
    "dfc_rejected": ("reject",),
}
"""Required decisions of the vectors that a fixture stands for."""

_SUITE = pytest.StashKey["Manifest"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that choose vectors."""
    group = parser.getgroup("dfc", "vectors of Deep Feature Coding (DFC)")
    group.addoption(
        "--dfc-suite", metavar="DIR", help="folder of the suite; that of refcodec if absent"
    )
    group.addoption(
        "--dfc-profile",
        action="append",
        metavar="NAME",
        help="only vectors of this profile: lossless, native or hevc; may be repeated",
    )
    group.addoption(
        "--dfc-level", type=int, metavar="N", help="only vectors of this level or a lower one"
    )
    group.addoption(
        "--dfc-only",
        action="append",
        metavar="PATTERN",
        help="only vectors whose id, name or tag matches this shell pattern; may be repeated",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each vector that it may ask for."""
    for fixture, decisions in _DECISIONS.items():
        if fixture in metafunc.fixturenames:
            cases = [one for one in _cases(metafunc.config) if one.vector.decoder in decisions]
            metafunc.parametrize(fixture, cases, ids=[one.id for one in cases])


@pytest.fixture(scope="session")
def dfc_suite(pytestconfig: pytest.Config) -> Manifest:
    """The suite that the vectors are of."""
    return _suite(pytestconfig)


def _suite(config: pytest.Config) -> Manifest:
    """The chosen suite, loaded once."""
    if _SUITE not in config.stash:
        from refcodec.errors import DFCError
        from refcodec.suite.manifest import load_manifest

        try:
            config.stash[_SUITE] = load_manifest(config.getoption("--dfc-suite"))
        except DFCError as error:
            raise pytest.UsageError(f"--dfc-suite: {error}") from None
    return config.stash[_SUITE]


def _cases(config: pytest.Config) -> list[Case]:
    """The vectors that the options choose. Raises UsageError if there are none."""
    from refcodec.suite.cases import Case

    suite = _suite(config)
    profiles, level = config.getoption("--dfc-profile"), config.getoption("--dfc-level")
    patterns = config.getoption("--dfc-only") or [None]
    matching = {vector.id for pattern in patterns for vector in suite.select(pattern)}
    chosen = [
        Case(vector, suite.path(vector))
        for vector in suite.vectors
        if vector.id in matching
        and (not profiles or vector.profile in profiles)
        and (level is None or vector.level <= level)
    ]
    if not chosen:
        raise pytest.UsageError("no vector of the suite matches the options --dfc-...")
    return chosen
