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
    from refcodec.suite.manifest import Manifest
    from refcodec.suite.run.cases import Case

__all__ = ["dfc_suite", "pytest_addoption", "pytest_generate_tests"]

_DECISIONS = {
    "dfc_vector": ("accept", "reject", "either"),
    "dfc_accepted": ("accept", "either"),
    "dfc_rejected": ("reject",),
}
"""Required decisions of the vectors that a fixture stands for."""

_CHOICES = (
    (
        "--dfc-profile",
        "NAME",
        "profiles of the decoder; all if absent. Vectors of others do not run",
    ),
    ("--dfc-level", "[NAME:]LEVEL", "highest level of its profiles, or of one: native:2"),
    ("--dfc-only", "PATTERN", "only vectors whose id, name, tag or profile:NAME matches"),
    ("--dfc-exclude", "PATTERN", "no vectors whose id, name, tag or profile:NAME matches"),
    (
        "--dfc-clause",
        "PATTERN",
        "only vectors of these clauses, 8.6 includes 8.6.1, or requirements, R9.2-7",
    ),
)
"""Options that choose vectors, as ``refcodec conformance run`` has them; each may be repeated, or a list."""

_SUITE = pytest.StashKey["Manifest"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that choose vectors."""
    group = parser.getgroup("dfc", "vectors of Deep Feature Coding (DFC)")
    group.addoption(
        "--dfc-suite", metavar="DIR", help="folder of the suite; that of refcodec if absent"
    )
    for name, metavar, text in _CHOICES:
        group.addoption(name, action="append", metavar=metavar, help=text)


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
            raise pytest.Collector.CollectError(f"--dfc-suite: {error}") from None
    return config.stash[_SUITE]


def _cases(config: pytest.Config) -> list[Case]:
    """The vectors that the options choose. Raises CollectError if there are none."""
    from refcodec.errors import CallerError
    from refcodec.suite.run.cases import Case
    from refcodec.suite.run.selection import Scope, Selection, split_lists

    def words(name: str) -> tuple[str, ...]:
        return split_lists(config.getoption(f"--dfc-{name}") or ())

    suite = _suite(config)
    try:
        scope = Scope.parse(words("profile"), words("level"))
        chosen = Selection(words("only"), words("exclude"), words("clause")).choose(suite)
    except CallerError as error:
        raise pytest.Collector.CollectError(f"--dfc-...: {error}") from None
    cases = [Case(one, suite.path(one)) for one in chosen if not scope.objection(suite, one)]
    if not cases:
        raise pytest.Collector.CollectError(f"--dfc-...: no selected vector is one of {scope}")
    return cases
