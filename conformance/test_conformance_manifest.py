"""The suite itself: files and manifest agree, labels are those of the streams, ids are stable."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from refcodec.errors import reject_classes
from refcodec.suite.assemble import assemble, disassemble, edit_from_json
from refcodec.suite.derive import labels
from refcodec.suite.fidelity import load_fidelity
from refcodec.suite.manifest import Manifest, Vector, schema
from refcodec.tables import clause_titles

TOOL = Path(__file__).resolve().parents[1] / "tools" / "make_bitstreams.py"


def test_files_are_those_of_the_manifest(suite: Manifest) -> None:
    found = sorted(path.relative_to(suite.root).as_posix() for path in suite.root.rglob("*.dfc"))
    assert found
    tails = [one.inputs["stream"] for one in load_fidelity(suite.root) if one.metric == "tail"]
    assert found == sorted([*(vector.file for vector in suite.vectors), *tails])


def test_ids_and_names_are_unique(suite: Manifest) -> None:
    for values in ([v.id for v in suite.vectors], [v.name for v in suite.vectors]):
        assert len(set(values)) == len(values)


def test_every_class_has_a_vector(suite: Manifest) -> None:
    found = {vector.violation.reject for vector in suite.vectors if vector.violation}
    assert found == set(reject_classes())
    listed = schema()["$defs"]["class"]["enum"]
    assert set(listed) == found


def test_suite_is_small(suite: Manifest) -> None:
    """A checkout and the installed package carry it; two batches of the largest size and a few
    payloads of latents that take four lanes are half of it, models with networks a twelfth, transforms
    and tokens a hundredth each."""
    assert sum(vector.size for vector in suite.vectors) < 710_000


def test_bytes(suite: Manifest, vector: Vector) -> None:
    stream = suite.path(vector).read_bytes()
    assert len(stream) == vector.size
    assert hashlib.sha256(stream).hexdigest() == vector.sha256


def test_clauses_exist(vector: Vector) -> None:
    assert set(vector.clauses) <= set(clause_titles())


def test_labels_are_derived(suite: Manifest, vector: Vector) -> None:
    shown = vector if vector.decoder == "accept" else suite.named(_origin(vector))
    found = labels(suite.path(shown).read_bytes())
    assert (vector.profile, vector.level, vector.tags) == (found.profile, found.level, found.tags)


def test_edits_make_the_stream(suite: Manifest, vector: Vector) -> None:
    """The edits in the manifest make the vector from its origin."""
    if vector.origin is None:
        return
    stream = suite.path(suite.named(vector.origin.vector)).read_bytes()
    for entry in vector.origin.edits:
        stream = edit_from_json(entry)(stream)
    assert stream == suite.path(vector).read_bytes()


def test_assembler_inverts_itself(suite: Manifest, accepted: Vector) -> None:
    stream = suite.path(accepted).read_bytes()
    pieces = disassemble(stream)
    assert assemble(pieces) == stream
    for piece in pieces:
        piece.settle()
    assert assemble(pieces) == stream


def test_origins_are_valid(suite: Manifest, vector: Vector) -> None:
    if vector.origin is not None:
        origin = suite.named(vector.origin.vector)
        assert origin.decoder == "accept"
        assert origin.violation is None


def test_tool_agrees() -> None:
    done = subprocess.run([sys.executable, TOOL, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _origin(vector: Vector) -> str:
    assert vector.origin is not None
    return vector.origin.vector
