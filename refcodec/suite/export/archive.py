"""The suite as one ZIP archive: manifest, streams, expected outputs as hashes, and how to use them.

Unpacked, it is a folder that ``refcodec conformance run --suite`` takes; the lists of hashes serve those who
have nothing but a shell. Members are sorted, stored without compression, and dated 1980, so that the same
suite gives the same bytes on every machine.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from importlib.resources import files
from string import Template

from refcodec.suite.manifest import MANIFEST_NAME, Manifest
from refcodec.suite.run.outputs import Digests, rejection_lines

__all__ = ["archive_of", "zipped"]

_BESIDE = ("features.npz",)
"""Files of a suite that belong to it though no vector names them."""


def archive_of(
    suite: Manifest, outputs: Mapping[str, Digests], beside: Mapping[str, bytes] | None = None
) -> bytes:
    """The archive of a suite.

    outputs : hashes by id of vector, as `written_outputs` gives them.
    beside  : other files to put in, by path.
    """
    members = {MANIFEST_NAME: (suite.root / MANIFEST_NAME).read_bytes()}
    members |= {vector.file: suite.path(vector).read_bytes() for vector in suite.vectors}
    members |= {
        name: (suite.root / name).read_bytes() for name in _BESIDE if (suite.root / name).is_file()
    }
    members |= {
        path.relative_to(suite.root).as_posix(): path.read_bytes()
        for path in sorted((suite.root / "fidelity").glob("*.*"))
    }
    members |= beside or {}
    for schema in ("manifest.schema.json", "fidelity.schema.json"):
        members[schema] = (files("refcodec.suite") / schema).read_bytes()
    members["SHA256SUMS"] = _lines(f"{vector.sha256}  {vector.file}" for vector in suite.vectors)
    members["OUTPUTS.sha256"] = _lines(
        f"{outputs[vector.id].sha256}  {vector.id}.out"
        for vector in suite.vectors
        if vector.id in outputs
    )
    members["EXPECTED.json"] = _expected(suite, outputs)
    members["README.md"] = _readme(suite).encode()
    return zipped(members)


def zipped(members: Mapping[str, bytes]) -> bytes:
    """A ZIP archive of files by path; its bytes depend on nothing else."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            member.create_system = 3  # Unix, also where it is written elsewhere
            member.external_attr = 0o644 << 16
            archive.writestr(member, members[name])
    return file.getvalue()


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _expected(suite: Manifest, outputs: Mapping[str, Digests]) -> bytes:
    """The permitted ends of each vector: an output by its hashes, a rejection by its line."""
    ends = []
    for vector in suite.vectors:
        entry: dict[str, object] = {"id": vector.id, "name": vector.name, "file": vector.file}
        entry |= {"profile": vector.profile, "level": vector.level, "decoder": vector.decoder}
        if vector.decoder != "reject":
            own = outputs[vector.id]
            entry["output"] = {"size": vector.output_size, "md5": own.md5, "sha256": own.sha256}
        if lines := rejection_lines(vector):
            entry["rejections"] = lines
        ends.append(entry)
    return (json.dumps({"vectors": ends}, indent=1) + "\n").encode()


def _readme(suite: Manifest) -> str:
    counts = {
        kind: sum(vector.decoder == kind for vector in suite.vectors)
        for kind in ("accept", "reject", "either")
    }
    text = (files(__package__) / "readme-archive.md").read_text(encoding="utf-8")
    return Template(text).substitute(
        counts, version=suite.version, sha256=suite.sha256, count=len(suite.vectors)
    )
