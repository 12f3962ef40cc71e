"""The strict validator against every vector: nothing to find, or the violation of the manifest."""

from __future__ import annotations

from refcodec.suite.manifest import Manifest, Vector
from refcodec.suite.requirements import requirements_of
from refcodec.validator import validate


def test_violation(suite: Manifest, vector: Vector) -> None:
    """The first violation is the expected one; a damaged parameter set causes further ones.

    Requirements that violations name are among those that the vector tests.
    """
    report = validate(suite.path(vector))
    found = [(one.reject, one.clause, one.bit_offset) for one in report.violations]
    if vector.violation is None:
        assert found == []
        assert report.conforming
        assert report.features == len(vector.features)
    else:
        promised = vector.violation
        assert found[:1] == [(promised.reject, promised.clause, promised.bit_offset)]
        assert not report.conforming
        cited = {one.requirement for one in report.violations if one.requirement}
        assert cited <= set(requirements_of(vector))


def test_one_defect(suite: Manifest, rejected: Vector) -> None:
    """A lost parameter set causes only errors that it is missing; otherwise there are no others."""
    others = validate(suite.path(rejected)).violations[1:]
    assert all("is used before it occurs in the stream" in one.what for one in others)
