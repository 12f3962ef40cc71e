"""The cache of compiled kernels: when they are compiled anew, whom it trusts, and what damage does to it."""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numba
import pytest
from variation import PATIENCE

import refcodec
from refcodec import kernel
from refcodec.kernel_cache import KernelCache, Untrusted, fault_of, prune, trusted_folder
from refcodec.registry import CODERS

SOURCE = Path(refcodec.__file__).parent

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")

CALLEE = """
from refcodec.kernel import kernel

@kernel
def inner(x):
    return x + 1
"""
CALLER = """
from refcodec.kernel import kernel
from refcodec.entropy.tiny_callee import inner

@kernel
def outer(x):
    return 10 * inner(x)
"""
CALL = """
import logging, sys
logging.basicConfig(format="%(levelname)s %(name)s %(message)s")
logging.getLogger("refcodec").setLevel(logging.INFO)
from refcodec.entropy.tiny_caller import outer
from refcodec.entropy.tiny_callee import inner
inner(1)
print(outer(*map(int, sys.argv[1:] or [1])))
"""


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A temporary folder in which compiled code may be kept."""
    try:
        return trusted_folder(tmp_path)
    except Untrusted as fault:
        pytest.skip(f"this machine's temporary folder is not private: {fault}")


@pytest.fixture
def tree(private: Path) -> Path:
    """A copy of refcodec with two tiny kernels, of which one calls the other."""
    copy = private / "refcodec"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.npz", "demo"))
    (copy / "entropy" / "tiny_callee.py").write_text(CALLEE, encoding="utf-8")
    (copy / "entropy" / "tiny_caller.py").write_text(CALLER, encoding="utf-8")
    return copy


def start(tree: Path, script: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Run a script on a copy of refcodec in a process of its own."""
    changed = {
        "PYTHONPATH": str(tree.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "REFCODEC_CACHE": str(tree.parent / "cache"),
        **variables,
    }
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **changed},
        cwd=tree.parent,
    )


def end(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Output and log of a process, which ends well."""
    output, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, log
    return output.strip(), log


def call(tree: Path, before: str = "", **variables: str) -> tuple[str, str]:
    """What the tiny kernels return in a process of their own, and what it logs."""
    return end(start(tree, before + CALL, **variables))


def kept(tree: Path) -> dict[str, int]:
    """The compiled kernels, each with the time when it was written."""
    files = (tree.parent / "cache").rglob("*.nb?")
    return {str(path): path.stat().st_mtime_ns for path in files}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_an_edited_callee_is_compiled_anew(tree: Path) -> None:
    assert call(tree)[0] == "20"
    before = kept(tree)
    edit(tree / "entropy" / "tiny_callee.py", "x + 1", "x + 2")
    assert call(tree)[0] == "30"
    assert len(kept(tree)) == 2 * len(before)


def test_an_image_keeps_what_its_building_compiled(tree: Path) -> None:
    """Copies of the package and of the folder serve elsewhere: at other paths, of another time, read-only."""
    first, _ = call(tree)
    image = tree.parent / "image"
    image.mkdir()
    shutil.copytree(tree, image / "refcodec", copy_function=shutil.copy)  # files of now
    shutil.copytree(tree.parent / "cache", image / "cache")
    before = kept(image / "refcodec")
    assert before
    folders = [image / "cache", *(one for one in (image / "cache").rglob("*") if one.is_dir())]
    for folder in folders:
        folder.chmod(0o500)
    try:
        assert call(image / "refcodec") == (first, "")
    finally:
        for folder in folders:
            folder.chmod(0o700)
    assert kept(image / "refcodec") == before


@pytest.mark.skipif("NUMBA_CPU_NAME" in os.environ, reason="this run names a processor for all")
def test_a_generic_processor_has_kernels_of_its_own(tree: Path) -> None:
    """Kernels for any processor of an architecture serve all of them, and stand beside those of this one."""
    first, _ = call(tree)
    native = kept(tree)
    assert call(tree, NUMBA_CPU_NAME="generic")[0] == first
    generic = kept(tree).keys() - native.keys()
    assert len(generic) == len(native)
    assert call(tree, NUMBA_CPU_NAME="generic") == (first, "")
    assert kept(tree).keys() == native.keys() | generic


def test_a_second_process_compiles_nothing_and_says_nothing(tree: Path) -> None:
    first, log = call(tree)
    assert log.count("WARNING refcodec compiling kernels for this machine: once") == 1
    before = kept(tree)
    assert any("tiny_caller.outer" in name for name in before)
    assert call(tree) == (first, "")
    assert kept(tree) == before


EVERY_WAY = """
import io
import numpy as np
import refcodec
from refcodec import EntropyModel
maps = np.random.default_rng(0).normal(0, 1, (2, 3, 40, 24)).astype(np.float32)
latents = np.zeros((4, 7), np.int8)
ways = [({"coder": "native", "qp": qp, "speed": speed}, maps[:, :, :side, :side])
        for qp, side in ((20, 1), (30, 24), (40, 40)) for speed in ("fast", "default", "best")]
ways += [({"coder": "native", "gop": 2, "qp": 30}, maps), ({"coder": "native", "qp": 9}, maps[:, 0, 0])]
ways += [({"coder": "native-lossless", "speed": speed}, maps.astype(kind))
         for speed in ("fast", "default") for kind in (np.float32, np.float16)]
ways += [({"coder": "learned", "quantiser": "none", "model": EntropyModel.fit(latents)}, latents)]
for choices, features in ways:
    target = io.BytesIO()
    with refcodec.create(target, **choices) as writer:
        for one in features:
            writer.write(one)
    with refcodec.open(io.BytesIO(target.getvalue())) as reader:
        assert len(list(reader)) == len(features)
print(len(ways))
"""
EVERY_VECTOR = """
import sys
from pathlib import Path
import refcodec
streams = sorted(Path(sys.argv[1]).glob("*/stream.dfc"))
for path in streams:
    with refcodec.open(path, max_level=4) as reader:
        for _ in reader:
            pass
print(len(streams) > 400)
"""


@pytest.mark.slow
def test_a_new_machine_compiles_once(private: Path) -> None:
    """The doctor says what is not compiled yet, a warm-up compiles it, and then nothing is compiled."""
    folder = private / "cache"
    script = "from refcodec.cli import main; main()"
    told, _ = end(start(SOURCE, script, "doctor", "--json", REFCODEC_CACHE=str(folder)))
    found = {one["name"]: one for one in json.loads(told)["findings"]}
    assert found["cache"]["text"].endswith(", 0 compiled")
    for name, record in CODERS.items():
        slow = (
            found[name]["state"] == "slow"
        )  # others may be the first to need the uniform quantiser
        assert slow or not record.compiled
        assert ("kernels were compiled now" in found[name]["text"]) == slow
    assert "refcodec warm-up" in found["native"]["hint"]
    _, log = end(start(SOURCE, script, "warm-up", REFCODEC_CACHE=str(folder)))
    assert log.startswith("note: compiling kernels for this machine: once")
    warm = sorted(folder.rglob("*.nbc"))
    assert len(warm) > 20
    assert end(start(SOURCE, EVERY_WAY, REFCODEC_CACHE=str(folder))) == ("16", "")
    valid = str(SOURCE.parent / "bitstreams" / "valid")
    assert end(start(SOURCE, EVERY_VECTOR, valid, REFCODEC_CACHE=str(folder))) == ("True", "")
    assert sorted(folder.rglob("*.nbc")) == warm


@pytest.mark.parametrize("command", [["hevc"], ["native", "x"]])
def test_only_what_has_kernels_can_be_warmed_up(command: list[str]) -> None:
    script = "from refcodec.cli import main; main()"
    process = start(SOURCE, script, "warm-up", *command)
    assert (
        "is not compiled: choose among native, native-lossless, native-static, learned"
        in process.communicate(timeout=PATIENCE)[1]
    )
    assert process.returncode == 2


def test_a_decoder_does_not_wait_for_an_encoder(private: Path) -> None:
    folder = private / "cache"
    stream = SOURCE.parent / "bitstreams" / "valid" / "exact-fast-float32" / "stream.dfc"
    script = f"import refcodec; print(refcodec.decode(open({str(stream)!r}, 'rb').read()).size)"
    end(start(SOURCE, script, REFCODEC_CACHE=str(folder)))
    names = {one.name.partition("-")[0] for one in folder.rglob("*.nbc")}
    decoder = ("coders.native_lossless.fast.", "coders.native_lossless.raw_bits.")
    assert names
    assert all(name.startswith(decoder) for name in names)


def test_other_kernels_in_the_folder_do_not_hide_a_compilation(tree: Path) -> None:
    script = "from refcodec.entropy.tiny_callee import inner; print(inner(1))"
    output, log = end(start(tree, script))
    assert output == "2"
    assert "compiling" in log
    assert kept(tree)
    assert "compiling" in call(tree)[1]


def test_interpreted_kernels_keep_and_say_nothing(tree: Path) -> None:
    assert call(tree, NUMBA_DISABLE_JIT="1") == ("20", "")
    assert not (tree.parent / "cache").exists()


def test_a_folder_that_cannot_be_written_is_done_without(tree: Path) -> None:
    blocked = tree.parent / "file"
    blocked.write_text("in the way", encoding="utf-8")
    found, log = call(tree, REFCODEC_CACHE=str(blocked / "cache"))
    assert found == "20"
    assert "INFO refcodec compiled kernels cannot be kept: set REFCODEC_CACHE" in log
    assert "compiling kernels for this machine: in every process" in log


def test_coding_goes_on_where_the_disk_fails(tree: Path) -> None:
    call(tree)
    for path in map(Path, kept(tree)):
        path.unlink()
        path.mkdir()  # so that nothing can take its name, whoever asks
    found, log = call(tree)
    assert found == "20"
    assert "INFO refcodec a compiled kernel could not be kept" in log


def test_a_folder_that_can_only_be_read_is_read(tree: Path) -> None:
    call(tree)
    before = kept(tree)
    nothing_new = "import tempfile; tempfile.mkstemp = None\n"
    assert call(tree, nothing_new) == ("20", "")
    assert kept(tree) == before


def test_importing_touches_no_folder(tree: Path) -> None:
    script = "import refcodec.coders.native.payload, refcodec.coders.native_lossless.payload"
    assert end(start(tree, script)) == ("", "")
    assert not (tree.parent / "cache").exists()


def test_processes_that_compile_at_once_stay_right(tree: Path) -> None:
    script = """if True:
        import sys
        import numpy as np
        from refcodec.entropy.tiny_caller import outer
        kinds = np.int64, np.float64, np.int32, np.float32
        for kind in (*kinds[int(sys.argv[1]):], *kinds):
            print(kind.__name__, outer(kind(1)), outer(kind(1.5)))
    """
    processes = [start(tree, script, str(number)) for number in range(4)]
    for number, process in enumerate(processes):
        lines = end(process)[0].splitlines()
        assert len(lines) == 8 - number
        for line in lines:
            assert line.split()[1:] == ["20.0", "25.0"] if "float" in line else ["20", "20"]
    before = kept(tree)
    assert len(before) == 4  # one kernel of four types; the other is a part of it
    assert end(start(tree, script, "0"))[1] == ""
    assert kept(tree) == before
    assert not list((tree.parent / "cache").rglob("*.tmp"))


# --- the folder's name -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("entropy/tiny_callee.py", "x + 1", "x + 2"),
        ("coders/native/transform.py", "1 << 26", "1 << 25"),
        ("coders/native/encoder/blocks.py", "6.0", "6.5"),
        ("tables/logistic.txt", "-2307", "-2306"),
    ],
)
def test_the_hash_is_of_all_that_is_compiled(tree: Path, name: str, old: str, new: str) -> None:
    before = kernel.kernel_hash(tree)
    assert kernel.kernel_hash(tree) == before
    edit(tree / name, old, new)
    assert kernel.kernel_hash(tree) != before


def test_files_without_kernels_compile_nothing_anew(tree: Path) -> None:
    before = kernel.kernel_hash(tree)
    for name in ("reader.py", "coders/native/payload.py", "tables/native_model.txt"):
        (tree / name).write_text("changed", encoding="utf-8")
    assert kernel.kernel_hash(tree) == before


@pytest.mark.parametrize("flag", ["NUMBA_BOUNDSCHECK", "NUMBA_OPT"])
def test_the_hash_is_of_flags_too(flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = set()
    monkeypatch.delenv(flag, raising=False)
    for value in (None, "0", "1"):
        if value is not None:
            monkeypatch.setenv(flag, value)
        hashes.add(kernel.kernel_hash())
    assert len(hashes) == 3


def test_all_kernels_stand_in_hashed_files() -> None:
    hashed = {path for pattern in kernel._SOURCES for path in SOURCE.glob(pattern)}
    using = {
        path
        for path in SOURCE.rglob("*.py")
        if any(
            mark in path.read_text(encoding="utf-8")
            for mark in ("\n@kernel", "\n@inlined", "\n@compiled", "numba.")
        )
    }
    assert using <= hashed


def test_numbas_own_setting_is_left_alone() -> None:
    found = numba.config.CACHE_DIR
    assert os.environ.get("NUMBA_CACHE_DIR", "") == found


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Where the cache is under other variables of the environment; None takes one away."""

    def find(**variables: str | None) -> Path:
        for name in ("REFCODEC_CACHE", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        return kernel._place()

    return find


def test_the_place_of_the_cache(
    place: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    home.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(home))
    assert place() == home / ".cache" / "refcodec"
    assert place(XDG_CACHE_HOME="") == home / ".cache" / "refcodec"
    assert place(XDG_CACHE_HOME="relative") == home / ".cache" / "refcodec"
    assert place(XDG_CACHE_HOME=str(other)) == other / "refcodec"
    assert place(REFCODEC_CACHE=str(other), XDG_CACHE_HOME=str(home)) == other
    assert place(REFCODEC_CACHE="here") == tmp_path / "here"
    assert place(REFCODEC_CACHE="~/here") == home / "here"


@pytest.mark.parametrize("home", ["", "relative", "/nonexistent"])
def test_a_user_without_a_home_keeps_nothing(place: Callable[..., Path], home: str) -> None:
    with pytest.raises(RuntimeError, match="no home"):
        place(HOME=home)


# --- trust -----------------------------------------------------------------------------------------

needs_owners = pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owners here")


@needs_owners
@pytest.mark.parametrize(
    ("owner", "mode", "above", "itself"),
    [
        (1000, 0o700, True, True),
        (1000, 0o755, True, True),
        (0, 0o755, True, True),
        (1000, 0o775, False, False),
        (1000, 0o757, False, False),
        (0, 0o777, False, False),
        (0, 0o1777, True, False),
        (1000, 0o1777, True, False),
        (1001, 0o700, False, False),
        (1001, 0o755, False, False),
        (1001, 0o1777, False, False),
    ],
)
def test_what_is_trusted(owner: int, mode: int, above: bool, itself: bool) -> None:
    status: Any = SimpleNamespace(st_uid=owner, st_mode=stat.S_IFDIR | mode)
    for leaf, trusted in ((False, above), (True, itself)):
        fault = fault_of(Path("folder"), status, leaf=leaf, user=1000)
        assert bool(fault) != trusted
        assert trusted or "set REFCODEC_CACHE to a folder of your own" in fault


def test_missing_folders_are_made_for_this_user_alone(private: Path) -> None:
    mask = os.umask(0)
    try:
        folder = trusted_folder(private / "one" / "two")
    finally:
        os.umask(mask)
    assert folder.is_dir()
    if hasattr(os, "getuid"):
        modes = {stat.S_IMODE(one.stat().st_mode) for one in (folder, folder.parent)}
        assert modes == {0o700}


@needs_owners
@pytest.mark.parametrize("level", ["", "cache", "kernels"])
def test_a_folder_that_others_can_write_to_is_not_used(tree: Path, level: str) -> None:
    cache = tree.parent / "cache"
    call(tree)
    folder = {"": tree.parent, "cache": cache, "kernels": next(cache.iterdir())}[level]
    folder.chmod(0o777)
    before = kept(tree)
    found, log = call(tree)
    assert found == "20"
    assert log.count("WARNING refcodec compiled kernels are not kept: others can write to") == 1
    assert f"{folder}: take that right away (chmod go-w)" in log
    assert kept(tree) == before
    folder.chmod(0o755)
    assert call(tree) == ("20", "")


@needs_owners
def test_a_folder_of_another_user_is_not_used(tree: Path) -> None:
    """Poisoned code in a folder of somebody else's never runs."""
    call(tree)
    (folder,) = (tree.parent / "cache").iterdir()
    sign = tree.parent / "sign"
    for path in folder.iterdir():
        path.write_bytes(pickle.dumps(Poison(str(sign))))
    if os.getuid() == 0:
        os.chown(folder, 12345, 12345)
        found, log = call(tree)
    else:  # this user becomes another one
        found, log = call(tree, "import os; user = os.getuid() + 1; os.getuid = lambda: user\n")
    assert found == "20"
    assert log.count("belongs to another user: set REFCODEC_CACHE") == 1
    assert not sign.exists()


class Poison:
    """Makes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return Path.touch, (Path(self._path),)


def test_a_file_in_the_way_is_no_folder(private: Path) -> None:
    (private / "file").touch(0o777)
    for path in (private / "file", private / "file" / "below"):
        with pytest.raises(NotADirectoryError):
            trusted_folder(path)


def test_a_link_is_followed_before_it_is_trusted(private: Path) -> None:
    (private / "open").mkdir()
    (private / "open").chmod(0o777)
    (private / "own").mkdir(0o700)
    (private / "open" / "link").symlink_to(private / "own")
    (private / "link").symlink_to(private / "open")
    assert trusted_folder(private / "open" / "link") == private / "own"
    if hasattr(os, "getuid"):
        with pytest.raises(Untrusted, match="open"):
            trusted_folder(private / "link" / "below")


# --- damage ----------------------------------------------------------------------------------------


def double(x: int) -> int:
    return 2 * x


def compiled_double(folder: Path) -> Any:
    """A kernel of its own, with nothing compiled in this process yet."""
    dispatcher: Any = numba.njit(double)
    dispatcher._cache = KernelCache(double, lambda: folder)
    return dispatcher


def hits(dispatcher: Any) -> int:
    return sum(dispatcher.stats.cache_hits.values())


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:20],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
        lambda data: b"\x80\x05garbage" * 100,
        lambda data: pickle.dumps({}),
        lambda data: data[32:],
    ],
)
def test_a_damaged_file_is_compiled_anew_and_replaced(
    damage: Callable[[bytes], bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "refcodec")
    assert compiled_double(tmp_path)(3) == 6
    (path,) = tmp_path.iterdir()
    assert path.suffix == ".nbc"
    path.write_bytes(damage(path.read_bytes()))
    again = compiled_double(tmp_path)
    assert again(3) == 6
    assert hits(again) == 0
    assert [record.message for record in caplog.records] == [
        f"{path} is damaged (its digest does not match): compiled again"
    ]
    mended = compiled_double(tmp_path)
    assert mended(3) == 6
    assert hits(mended) == 1
    assert len(caplog.records) == 1


def test_code_of_other_types_is_not_mistaken(tmp_path: Path) -> None:
    first = compiled_double(tmp_path)
    assert (first(3), first(1.5)) == (6, 3.0)
    one, other = tmp_path.iterdir()
    shutil.copyfile(one, other)
    second = compiled_double(tmp_path)
    assert (second(3), second(1.5)) == (6, 3.0)
    assert hits(second) == 1


def test_what_cannot_be_linked_is_compiled_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digest is right, but the code is of another world."""
    monkeypatch.setattr("refcodec.kernel_cache.dumps", lambda _: pickle.dumps((1, 2, 3)))
    compiled_double(tmp_path)(3)
    monkeypatch.undo()
    for expected in (0, 1):
        one = compiled_double(tmp_path)
        assert one(3) == 6
        assert hits(one) == expected


# --- pruning ---------------------------------------------------------------------------------------


def test_folders_of_old_states_are_pruned(private: Path) -> None:
    names = [f"kernels-{number:016x}" for number in range(8)]
    for number, name in enumerate(names):
        (private / name).mkdir(0o700)
        (private / name / "code.nbc").touch()
        os.utime(private / name, (number, number))
    others = ["kernels-mine", "kernels-0123", "images"]
    for name in others:
        (private / name).mkdir()
    (private / "kernels-00000000000000ff").symlink_to(private / "images")
    prune(private / names[0], f"kernels-{'[0-9a-f]' * 16}", 4)
    left = {path.name for path in private.iterdir()}
    assert left == {names[0], *names[4:], *others, "kernels-00000000000000ff"}


def test_a_new_state_prunes_and_keeps_what_is_in_use(tree: Path) -> None:
    cache = tree.parent / "cache"
    call(tree)
    (first,) = cache.iterdir()
    for number in range(6):
        folder = cache / f"kernels-{number:016x}"
        folder.mkdir(0o700)
        os.utime(folder, (number, number))
    os.utime(first, (0, 0))
    call(tree)  # used again, which counts
    assert len(list(cache.iterdir())) == 7
    call(tree, NUMBA_OPT="1")
    assert len(list(cache.iterdir())) == 1 + kernel._RECENT
    assert first.is_dir()
