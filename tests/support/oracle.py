"""Decoders under test that know the right answers beforehand, so that a wrong one starts at once."""

from __future__ import annotations

import io
import json
import shlex
import sys
from pathlib import Path

from refcodec.errors import StreamError
from refcodec.hashes import little_endian_bytes
from refcodec.suite.manifest import Manifest
from refcodec.suite.run.expected import decoded_features

_BEGINNING = """
import json, os, sys, time
RIGHT = json.load(open({answers!r}))

def write(places, right):
    for name in ("output", "samples"):
        if places.get(name):
            with open(places[name], "wb") as file:
                file.write(bytes.fromhex(right[name]))
"""

_COMMAND = """
places = dict(zip(("input", "output", "samples"), sys.argv[1:]))
right = RIGHT[places["input"]]
"""

_SERVER = """
def answer(request):
    right = RIGHT[request["input"]]
    write(request, right)
    return {"id": request["id"], **right["response"]}

def say(response):
    print(json.dumps(response), flush=True)

for line in sys.stdin:
    request = json.loads(line)
"""

HONEST_COMMAND = """
if right["response"]["status"] == "reject":
    print("REJECT", right["response"]["class"])
    sys.exit(1)
write(places, right)
"""

HONEST_SERVER = "say(answer(request))"


def write_answers(suite: Manifest, path: Path) -> None:
    """Write the right answers for the vectors of a suite, as JSON."""
    found = {}
    for vector in suite.vectors:
        response = {"status": "accept"}
        features = []
        try:
            features = list(decoded_features(io.BytesIO(suite.path(vector).read_bytes())))
        except StreamError as error:
            response = {"status": "reject", "class": error.reject}
        found[str(suite.path(vector).resolve())] = {
            "response": response,
            "output": b"".join(little_endian_bytes(one.values) for one in features).hex(),
            "samples": b"".join(little_endian_bytes(one.samples) for one in features).hex(),
        }
    path.write_text(json.dumps(found), encoding="utf-8")


def command_template(answers: Path, program: str, holes: str = "{input} {output}") -> str:
    """The template of a command whose last lines are the given ones."""
    text = _BEGINNING.format(answers=str(answers)) + _COMMAND + program
    return f"{shlex.join([sys.executable, '-I', '-S', '-c', text])} {holes}"


def server_command(answers: Path, body: str) -> str:
    """The command of a server that does this for each request."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    text = _BEGINNING.format(answers=str(answers)) + _SERVER + lines
    return shlex.join([sys.executable, "-I", "-S", "-c", text])
