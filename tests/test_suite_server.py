"""Decoders under test as servers, and with limits: the runner fails each that is wrong, and ends all."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from oracle import HONEST_COMMAND, HONEST_SERVER, command_template, server_command, write_answers
from typer.testing import CliRunner
from variation import PATIENCE

from refcodec.cli.conformance import app
from refcodec.errors import CallerError
from refcodec.suite.manifest import Manifest, load_manifest
from refcodec.suite.run import process
from refcodec.suite.run.contract import Command
from refcodec.suite.run.results import Run
from refcodec.suite.run.runner import run_suite
from refcodec.suite.run.selection import Selection
from refcodec.suite.run.server import open_server

ROOT = Path(__file__).resolve().parents[1]
SUITE = load_manifest(ROOT / "bitstreams")
CLIENTS = ROOT / "conformance" / "clients"

CHOSEN = ("no-index", "raw-bfloat16", "unit-crc", "header-cut")

MUTANTS = {
    "hangs": "time.sleep(100000)",
    "hangs in a child": "os.fork()\ntime.sleep(100000)",
    "answers nothing": "pass",
    "answers half a line": "print('{', end='', flush=True)",
    "answers another request": "say({**answer(request), 'id': request['id'] + 1})",
    "answers without a number": "right = answer(request)\ndel right['id']\nsay(right)",
    "answers twice": "say(answer(request))\nsay(answer(request))",
    "answers what is no JSON": "print('accept', flush=True)",
    "answers a list": "say([answer(request)])",
    "answers deeply": "print('[' * 50000, flush=True)",
    "chatters": "print('decoding', flush=True)\nsay(answer(request))",
    "accepts everything": "say({**answer(request), 'status': 'accept'})",
    "rejects everything": "say({'id': request['id'], 'status': 'reject', 'class': 'checksum'})",
    "rejects without a class": "say({'id': request['id'], 'status': 'reject'})",
    "skips everything": "say({'id': request['id'], 'status': 'skip'})",
    "reports an error": "say({'id': request['id'], 'status': 'error', 'reason': 'no'})",
    "has a status of its own": "say({'id': request['id'], 'status': 'ok'})",
    "writes no file": "say({'id': request['id'], 'status': 'accept'})",
    "writes what it wrote before": "right = answer(request)\n"
    "last = globals().get('last', b'')\n"
    "data = open(request['output'], 'rb').read()\n"
    "open(request['output'], 'wb').write(last)\nlast = data\nsay(right)",
    "crashes": "os.abort()",
    "raises": "1 / 0",
    "ends": "sys.exit(0)",
    "ends after a response": "say(answer(request))\nsys.exit(0)",
    "closes its output": "os.close(1)\ntime.sleep(100000)",
    "writes without end": "file = open(request['output'], 'wb')\n"
    "while True: file.write(bytes(1 << 20))",
    "writes samples without end": "file = open(request['samples'], 'wb')\n"
    "while True: file.write(bytes(1 << 20))",
    "writes syntax without end": "file = open(request['syntax'], 'wb')\n"
    "while True: file.write(bytes(1 << 20))",
    "makes a folder of its output": "os.mkdir(request['output'])\n"
    "say({'id': request['id'], 'status': 'accept'})",
    "makes its output a device": "os.symlink('/dev/zero', request['output'])\n"
    "say({'id': request['id'], 'status': 'accept'})",
    "writes a hole": "open(request['output'], 'wb').truncate(1 << 40)\n"
    "say({'id': request['id'], 'status': 'accept'})",
    "prints without end": "while True: print('x' * 10000, end='')",
    "complains without end": "while True: print('x' * 10000, file=sys.stderr)",
}

TIMEOUTS = dict.fromkeys(
    ("hangs", "hangs in a child", "answers nothing", "answers half a line"), 1.0
)
SLOW = (*TIMEOUTS, "closes its output")


@pytest.fixture(scope="module")
def small() -> Manifest:
    return replace(SUITE, vectors=tuple(SUITE.named(name) for name in CHOSEN))


@pytest.fixture(scope="module")
def answers(small: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("oracle") / "answers.json"
    write_answers(small, path)
    return path


@pytest.fixture
def serve(small: Manifest, answers: Path) -> Callable[..., Run]:
    """Run a server over the small suite."""

    def run(body: str, *, timeout: float = PATIENCE, memory: int | None = None) -> Run:
        with open_server(server_command(answers, body), memory) as server:
            return run_suite(small, server, timeout=timeout, workers=1)

    return run


@pytest.fixture
def serve_mutant(small: Manifest, answers: Path) -> Callable[[str], Run]:
    """Run a mutant, over one vector if each takes a second."""

    def run(name: str) -> Run:
        suite = replace(small, vectors=small.vectors[:1]) if name in SLOW else small
        with open_server(server_command(answers, MUTANTS[name])) as server:
            return run_suite(suite, server, timeout=TIMEOUTS.get(name, PATIENCE), workers=1)

    return run


# --- servers ---------------------------------------------------------------------------------------


def test_honest_server_passes(serve: Callable[..., Run]) -> None:
    run = serve(HONEST_SERVER)
    assert run.passed, [result.reason for result in run.results]


def test_one_process_serves_many_vectors(
    serve: Callable[..., Run], small: Manifest, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    run = serve(f"print(os.getpid(), file=open({str(log)!r}, 'a'))\n{HONEST_SERVER}")
    assert run.passed
    lines = log.read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(small.vectors)
    assert len(set(lines)) == 1


def test_reference_serves() -> None:
    command = f"{sys.executable} -m refcodec.suite.adapter"
    chosen = Selection(only=(*CHOSEN, "empty", "version-major"))
    with open_server(command) as server:
        run = run_suite(SUITE, server, selection=chosen, timeout=PATIENCE, workers=1)
    assert run.passed, [result.reason for result in run.results]


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_failed(
    name: str, serve_mutant: Callable[[str], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "MOST_OUTPUT", 1 << 20)
    run = serve_mutant(name)
    assert not run.passed
    assert run.counts["pass"] < len(run.results)
    assert all(result.reason for result in run.results if result.status != "pass")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("hangs", "stopped after 1 s"),
        ("answers another request", "a response to 1 came, not to 0"),
        ("answers what is no JSON", "a response is no JSON object: 'accept'"),
        ("answers deeply", "a response is no JSON object"),
        ("chatters", "a response is no JSON object: 'decoding'"),
        ("has a status of its own", "a response has no known status"),
        ("writes no file", "accepted, and no output file"),
        ("reports an error", "no"),
        ("crashes", "ended by signal 6 without a response"),
        ("raises", "exit status 1 without a response: ZeroDivisionError"),
        ("ends", "exit status 0 without a response"),
        ("prints without end", "a response has more than 65536 bytes"),
        ("complains without end", "stopped after writing more than"),
    ],
)
def test_reason(name: str, reason: str, serve_mutant: Callable[[str], Run]) -> None:
    assert reason in serve_mutant(name).results[0].reason


@pytest.mark.parametrize("how", ["os.abort()", "time.sleep(100000)", "print('?', flush=True)"])
def test_next_vector_gets_a_new_process(how: str, serve: Callable[..., Run]) -> None:
    """One vector is lost to a crash or a time-out, and no other."""
    body = f"if 'raw-bfloat16' in request['input']: {how}\n{HONEST_SERVER}"
    run = serve(body, timeout=1 if "sleep" in how else PATIENCE)
    assert [result.status for result in run.results] == ["pass", "fail", "pass", "pass"]


# --- processes -------------------------------------------------------------------------------------


def _state(number: int) -> str:
    """State of a process: ``R``, ``S``, ``Z`` and so on; '' if there is none."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[0]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")
@pytest.mark.parametrize("how", ["command", "server"])
def test_children_end_with_the_decoder(
    how: str, small: Manifest, answers: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    hang = f"os.fork()\nprint(os.getpid(), file=open({str(log)!r}, 'a'))\ntime.sleep(100000)"
    one = replace(small, vectors=small.vectors[:1])
    if how == "command":
        run = run_suite(one, Command.parse(command_template(answers, hang)), timeout=2)
    else:
        with open_server(server_command(answers, hang)) as server:
            run = run_suite(one, server, timeout=2)
    assert run.results[0].reason == "stopped after 2 s"
    numbers = [int(line) for line in log.read_text(encoding="utf-8").split()]
    assert len(numbers) == 2
    end = time.monotonic() + PATIENCE
    while any(_state(number) not in ("", "Z", "X") for number in numbers):
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")
def test_idle_servers_end_with_the_block(small: Manifest, answers: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    body = f"print(os.getpid(), file=open({str(log)!r}, 'w'))\n{HONEST_SERVER}"
    with open_server(server_command(answers, body)) as server:
        run_suite(small, server, workers=1)
        number = int(log.read_text(encoding="utf-8"))
        assert _state(number) in ("R", "S", "D")
    assert _state(number) == ""


# --- memory ----------------------------------------------------------------------------------------

LINUX = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="memory is limited on Linux"
)
GREEDY = "greedy = bytearray(1 << 30)\n"


@LINUX
def test_memory_of_a_server_is_limited(serve: Callable[..., Run]) -> None:
    assert serve(GREEDY + HONEST_SERVER).passed
    assert serve(HONEST_SERVER, memory=512 << 20).passed
    run = serve(GREEDY + HONEST_SERVER, memory=512 << 20)
    assert run.counts["fail"] == len(CHOSEN)
    assert "MemoryError" in run.results[0].reason


@LINUX
def test_memory_of_a_command_is_limited(small: Manifest, answers: Path) -> None:
    fine = command_template(answers, HONEST_COMMAND)
    assert run_suite(small, Command.parse(fine, memory=512 << 20), timeout=PATIENCE).passed
    greedy = command_template(answers, GREEDY + HONEST_COMMAND)
    run = run_suite(small, Command.parse(greedy, memory=512 << 20), timeout=PATIENCE)
    assert run.counts["fail"] == len(CHOSEN)
    assert "MemoryError" in run.results[0].reason
    with pytest.raises(CallerError, match="cannot run the decoder /no/such"):
        run_suite(small, Command.parse("/no/such {input} {output}", memory=1 << 30))


def test_memory_is_refused_where_it_cannot_be_limited(
    small: Manifest, answers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    done = CliRunner().invoke(
        app, ["run", "--decoder", command_template(answers, HONEST_COMMAND), "--memory", "512"]
    )
    assert "memory cannot be limited on darwin" in str(done.exception)


# --- command line ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--server", "a", "--decoder", "b {input} {output}"], "there are two decoders"),
        (["--memory", "100"], "the memory of refcodec itself is not limited"),
        (["--server", "'"], "cannot be split"),
        (["--server", ""], "the decoder command is empty"),
        (["--server", "/no/such/program"], "cannot run the decoder"),
    ],
)
def test_bad_options(words: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["run", "--only", "empty", *words])
    assert isinstance(done.exception, CallerError)
    assert message in str(done.exception)


# --- examples --------------------------------------------------------------------------------------

HEADER = {
    "file-empty",
    "header-cut",
    "header-crc",
    "not-a-dfc",
    "reserved-zero-bits",
    "version-major",
}
"""Vectors that the skeletons of clients refuse, beside others with defects in the stream header."""


def _passes(command: str, tmp_path: Path) -> set[str]:
    report = tmp_path / "report.json"
    done = CliRunner().invoke(app, ["run", "--server", command, "--json", str(report)])
    assert done.exit_code == 1, done.output
    found = json.loads(report.read_text(encoding="utf-8"))
    assert found["counts"]["fail"] == 0
    assert found["counts"]["skip"] > 200
    assert found["verdict"] == "failed"
    passed = {one["name"] for one in found["results"] if one["status"] == "pass"}
    defects = [SUITE.named(name).violation for name in passed]
    assert all(one is not None and one.bit_offset <= 72 for one in defects)
    return passed


def test_client_in_python(tmp_path: Path) -> None:
    assert _passes(f"{sys.executable} '{CLIENTS / 'client.py'}'", tmp_path) >= HEADER


def _compiled(tmp_path: Path) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("there is no C compiler")
    client = tmp_path / "client"
    words = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-o", str(client)]
    subprocess.run([compiler, *words, str(CLIENTS / "client.c")], check=True)
    return client


def test_client_in_c(tmp_path: Path) -> None:
    assert _passes(f"'{_compiled(tmp_path)}'", tmp_path) >= HEADER


def test_client_in_c_undoes_escapes(tmp_path: Path) -> None:
    """A path with characters that JSON escapes is the same path in the client."""
    odd = tmp_path / 'a "b" \\ \t, \x01 "id": 9, "output": ü'
    odd.mkdir()
    shutil.copy(SUITE.path(SUITE.named("header-cut")), odd / "stream.dfc")
    request = {"id": 7, "input": str(odd / "stream.dfc"), "output": str(odd / "output")}
    done = subprocess.run(
        [_compiled(tmp_path)],
        input=json.dumps(request, ensure_ascii=False) + "\n",
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert json.loads(done.stdout) == {"id": 7, "status": "reject", "class": "truncated"}
