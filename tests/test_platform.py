"""Systems that are not Linux: nothing that only POSIX has is needed for coding, decoding and validating."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from variation import PATIENCE

import refcodec

_ELSEWHERE = """if True:
    import os, signal, sys

    # what these import in turn would notice that the system is none
    import asyncio, multiprocessing.util, subprocess, tempfile, concurrent.futures.process
    import imageio_ffmpeg, jsonschema, numba, typer, rich.console
    from numba.core.registry import cpu_target

    for name in ("fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"):
        sys.modules[name] = None
    for name in ("fork", "getloadavg", "getuid", "geteuid", "killpg", "mkfifo", "pread",
                 "preadv", "pwrite", "sched_getaffinity", "setsid", "wait4"):
        if hasattr(os, name):
            delattr(os, name)
    for name in ("SIGALRM", "SIGHUP", "SIGPIPE", "SIGUSR1", "alarm", "setitimer"):
        delattr(signal, name)
"""


def elsewhere(script: str, *arguments: str) -> list[str]:
    """Lines that a script prints in a process without what only POSIX has."""
    paths = [str(Path(refcodec.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    result = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE + script, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_every_package_is_installed() -> None:
    """A folder that the list of packages lacks would be missing from a wheel only."""
    root = Path(__file__).resolve().parents[1]
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    listed = settings["tool"]["setuptools"]["packages"]
    folders = {one.parent.relative_to(root) for one in (root / "refcodec").rglob("__init__.py")}
    assert set(listed) == {".".join(one.parts) for one in folders} | {"refcodec.bitstreams"}


def test_every_module_can_be_imported() -> None:
    script = """
    import importlib, pkgutil
    import refcodec
    names = [one.name for one in pkgutil.walk_packages(refcodec.__path__, "refcodec.")]
    for name in names:
        if not name.endswith("__main__"):
            importlib.import_module(name)
    print(len(names))
"""
    pytest.importorskip("torch")
    pytest.importorskip("zarr")
    (count,) = elsewhere("    import torch, matplotlib.pyplot, bjontegaard, zarr" + script)
    assert int(count) > 100


@pytest.mark.parametrize("coder", ["native", "native-lossless", "hevc", "lzma"])
def test_encode_decode_and_validate(coder: str) -> None:
    script = """
    import numpy as np
    import refcodec
    feature = np.arange(4 * 8 * 8, dtype=np.float32).reshape(4, 8, 8)
    data = refcodec.encode(feature, coder=sys.argv[1])
    print(refcodec.decode(data).shape, refcodec.validate(data).conforming)
"""
    assert elsewhere(script, coder) == ["(4, 8, 8) True"]


def test_files(tmp_path: Path) -> None:
    script = """
    import numpy as np
    import refcodec
    path = sys.argv[1]
    with refcodec.create(path) as writer:
        writer.write(np.ones((2, 4, 4), np.float32))
    with refcodec.open(path) as reader:
        print(len(list(reader)), refcodec.validate(path).conforming)
"""
    assert elsewhere(script, str(tmp_path / "a.dfc")) == ["1 True"]


def test_a_decoder_under_test_is_ended(tmp_path: Path) -> None:
    script = """
    from pathlib import Path
    from refcodec.suite.run.contract import Command
    command = Command((sys.executable, "-c", "import time; time.sleep(600)", "{input}", "{output}"))
    print(command.run(Path(sys.argv[1]), 0, 0.5).problem)
"""
    stream = tmp_path / "stream"
    stream.touch()
    assert elsewhere(script, str(stream)) == ["stopped after 0.5 s"]


def test_load_is_unknown_where_the_system_does_not_count() -> None:
    script = """
    from refcodec.evaluate.machine import describe_machine, load_average
    print(load_average(), sorted(describe_machine(()))[0])
"""
    assert elsewhere(script) == ["None cores"]
