"""The suite as test suites of fluster, one for each profile and one for all.

    OUT/dfc-conformance.zip          streams and manifest, which fluster downloads
    OUT/test_suites/DFC-ALL.json     and DFC-LOSSLESS.json, ...: what fluster loads
    OUT/fluster_dfc.py               the decoder class, which runs any command
    OUT/README.md

Fluster's form is closed: a key that it does not know, or a codec or profile that is not one of video's, and
the suite does not load. What is DFC's own is therefore in its optional parameters. Its flag for suites of
invalid streams turns errors into successes, so that a decoder which crashes on everything would pass:
rejections are ordinary results here, the MD5 of the line ``REJECT <class>``, which the decoder class writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from refcodec.suite.manifest import Manifest, Vector
from refcodec.suite.run.outputs import Digests, rejection_lines

__all__ = ["ARCHIVE", "DECODER", "fluster_files"]

ARCHIVE = "dfc-conformance.zip"
DECODER = "fluster_dfc.py"


def fluster_files(
    suite: Manifest, outputs: Mapping[str, Digests], url: str, archive: bytes
) -> dict[str, bytes]:
    """The files of the export, by path.

    outputs : hashes by id of vector, as `written_outputs` gives them.
    url     : address of the archive, for fluster's download: ``file:///...`` or ``https://...``.
    archive : that of `archive_of`.
    """
    source = {"source": url, "source_checksum": Digests.of(archive).md5}
    entries = {vector.id: source | _entry(vector, outputs) for vector in suite.vectors}
    found = {ARCHIVE: archive}
    for name, title, vectors in _groups(suite):
        document = {
            "name": name,
            "codec": "Dummy",
            "description": f"Deep Feature Coding, conformance suite {suite.version}, {title}",
            "test_method": "md5",
            "test_vectors": [{"name": _name(vector)} | entries[vector.id] for vector in vectors],
        }
        found[f"test_suites/{name}.json"] = (json.dumps(document, indent=4) + "\n").encode()
    found[DECODER] = (files(__package__) / "fluster_decoder.py").read_bytes()
    found["README.md"] = (files(__package__) / "readme-fluster.md").read_bytes()
    return found


def _groups(suite: Manifest) -> list[tuple[str, str, tuple[Vector, ...]]]:
    """Name, title and vectors of each test suite."""
    groups = [("DFC-ALL", "all profiles", suite.vectors)]
    for profile in sorted({vector.profile for vector in suite.vectors}):
        own = tuple(vector for vector in suite.vectors if vector.profile == profile)
        groups.append((f"DFC-{profile.upper()}", f"profile {profile}", own))
    return groups


def _name(vector: Vector) -> str:
    """Name of a vector, which fluster also makes an attribute of a test: no word of Python is one."""
    return f"{vector.id}-{vector.name}"


def _entry(vector: Vector, outputs: Mapping[str, Digests]) -> dict[str, Any]:
    """What fluster reads of a vector, without its name and source.

    A vector that may be accepted or rejected has the features for its result; the decoder class returns that
    too for a rejection that is permitted (``may_print``), as for other classes of a rejection.
    """
    params: dict[str, Any] = {
        "id": vector.id,
        "purpose": vector.purpose,
        "clauses": list(vector.clauses),
        "profile": vector.profile,
        "level": vector.level,
        "decoder": vector.decoder,
        "output_size": vector.output_size,
    }
    if vector.violation:
        params["violation"] = vector.as_json()["violation"]
    if vector.decoder == "reject":
        first, *others = rejection_lines(vector)
        result = Digests.of(f"{first}\n".encode()).md5
    else:
        others = list(rejection_lines(vector))
        result = outputs[vector.id].md5
    if others:
        params |= {"may_print": others, "result": result}
    return {
        "input_file": vector.file,  # with a slash: all vectors share one archive
        "output_format": "Unknown",
        "result": result,
        "optional_params": params,
    }
