"""``refcodec evaluate``: experiments as they are read, a small one as it runs, and what it leaves behind."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

import refcodec
from refcodec import metrics
from refcodec.cli import app
from refcodec.errors import CallerError

pytest.importorskip("torch")
pytest.importorskip("bjontegaard")
pytest.importorskip("matplotlib")
pytest.importorskip("PIL")

from PIL import Image

from refcodec.allocate.methods import Allocation, write_features
from refcodec.evaluate import job, peers, protocol, run
from refcodec.evaluate.coders import Peer, payloads
from refcodec.evaluate.experiment import Experiment
from refcodec.evaluate.features import Tail, load_features
from refcodec.evaluate.pictures import HevcImage, Jpeg
from refcodec.evaluate.plan import digest, jobs_of, select
from refcodec.evaluate.plots import draw_curves, draw_equal
from refcodec.evaluate.reading import read
from refcodec.evaluate.results import Line, Row, lines_of, load_row
from refcodec.evaluate.settings import settings_of
from refcodec.evaluate.summary import Comparison, equals
from refcodec.evaluate.tables import bd_rate_table, equal_quality_tables
from refcodec.models.trained import data_folder
from refcodec.plotting import look

DATA = data_folder()  # before a fixture changes the environment
EXPERIMENTS = Path(__file__).parents[1] / "tools" / "experiments"

SMALL = """
title = "A small experiment"

[networks.tiny]
model = "tiny_network:classify"
layers = ["image", "conv1", "pool2"]

[images.noise]
source = "images"
size = 16

[[coders]]
coder = "native"
qp = [20, 30, 40]

[[coders]]
coder = "A2"
layers = ["conv1"]
qp = [20, 30, 40]

[[coders]]
coder = "zlib"
layers = ["conv1"]

[[coders]]
coder = "jpeg"
quality = [30, 90]

[measure]
channels = true
resamples = 20

[report]
anchor = "A2"
snr = [15]
fidelity = [0.5]
tables = ["points", "bd-rate", "lossless", "equal-quality"]
plots = ["snr", "fidelity", "channels", "nonzero", "equal-quality"]
"""

JOBS = 3 + 3 + 1 + 2 + 3  # conv1: native, A2, zlib; image: jpeg; pool2: native


def make_images(folder: Path, count: int = 4) -> None:
    """Smooth noise in three classes."""
    random = np.random.default_rng(0)
    for label in "abc":
        (folder / label).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 256, (4, 4, 3)).astype(np.uint8)
            image = Image.fromarray(pixels).resize((16, 16), Image.Resampling.BICUBIC)
            image.save(folder / label / f"{number}.png")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def rows_in(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "results.json").read_text(encoding="utf-8"))[
        "rows"
    ]
    return found


@pytest.fixture(scope="module", autouse=True)
def _no_data_folder() -> Iterator[None]:
    """Paths of experiments are those of the experiment's own folder, whatever the environment says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("REFCODEC_DATA", raising=False)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    make_images(folder / "images")
    (folder / "small.toml").write_text(SMALL, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def output(data: Path) -> Path:
    folder = data / "results"
    done = call(data / "small.toml", "--output", folder)
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the jobs that are run."""
    names: list[str] = []
    plain = job.measure

    def noted(one: Any, *folders: Path) -> None:
        names.append(one.name)
        plain(one, *folders)

    monkeypatch.setattr(job, "measure", noted)
    return names


def small(data: Path, *changes: str) -> Experiment:
    return read(data / "small.toml", changes=changes)


# --- experiments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("layers = [\"image\"", "layer = [\"image\"", "unknown key 'layer'; did you mean 'layers'?"),
        ("[report]", "[reports]", "unknown key 'reports'; did you mean 'report'?"),
        ("qp = [20, 30, 40]", "qps = 20", "unknown key 'qps'; did you mean 'qp'?"),
        ('coder = "native"', 'coder = "naive"', "the coder 'naive'; did you mean 'native'?"),
        ('anchor = "A2"', 'anchor = "A3"', "the anchor 'A3'; there is native, A2, zlib, jpeg"),
        ('"bd-rate"', '"bdrate"', "'bdrate' among its tables; did you mean 'bd-rate'?"),
        ('layers = ["conv1"]', 'layers = ["conv9"]', "is for 'conv9'; did you mean 'conv1'?"),
        ("resamples = 20", 'resamples = "20"', "'resamples' of [measure] is '20'; it is an integer"),
        ("channels = true", "channels = 1", "'channels' of [measure] is 1; it is true or false"),
        ("quality = [30, 90]", "quality = 101", "quality of jpeg is 101; it lies in 1..100"),
        ("qp = [20, 30, 40]", "qp = [20, 90]", "a QP is 90"),
        ("size = 16", "size = [16]", "it is a side, or [height, width]"),
        ('title = "A small experiment"', "", "needs 'title'"),
        ("[networks.tiny]", "[nets.tiny]", "needs a [networks.NAME]"),
        ("[measure]", "[measure", "is no TOML"),
        ("qp = [20, 30, 40]", "qp = []", "qp is an empty list"),
        ("snr = [15]", 'snr = ["high"]', "it is a list of numbers"),
        ("snr = [15]", "snr_range = [30, 8]", "it is two rising numbers"),
        ("channels = true", "confidence = 95", "confidence 95.0"),
        ('coder = "zlib"', 'coder = "zlib"\nallocation = "gradient"', "no bits to allocate"),
        ("qp = [20, 30, 40]", 'allocation = {method = "gradient", probe = 1}', "did you mean probes?"),
        ('coder = "native"', 'coder = "native"\nallocation = "tail-aware"', "a QP of its own"),
        ('coder = "native"', 'coder = "native"\nallocation = "algorithm2"', "'algorithm2'; did you mean"),
        ('coder = "native"', 'coder = "native"\nallocation = [["none"]]', "the allocation ['none']"),
        ('coder = "native"', 'coder = "native"\nallocation = []', "an empty list of allocations"),
        ('layers = ["conv1"]\nqp = [20, 30, 40]', "qp = true", "qp of A2 is True; it lies in 0..51"),
        ("quality = [30, 90]", "quality = 30.0", "quality of jpeg is 30.0; it lies in 1..100"),
        ('coder = "jpeg"\nquality', 'coder = "hevc-image"\npreset = "best"\nqp', "it is one of ultrafast"),
        ('"conv1", "pool2"]', '"conv1", "conv1"]', "[networks.tiny] names a layer twice"),
        ("resamples = 20", "resamples = 1000000", "cannot be: resamples 1000000"),
        ("size = 16", "size = 0", "it is a side, or [height, width]"),
        ("size = 16", "size = [true, 16]", "it is a side, or [height, width]"),
        ("size = 16", "count = 0", "'count' of [images.noise] is 0; it is 1 or more"),
        ("fidelity = [0.5]", "fidelity = [50]", "has 50 among its fidelity; it lies in 0..1"),
        ("snr = [15]\nfidelity = [0.5]", "", "asks for equal-quality, and that needs a list of"),
        ("channels = true", "", "asks for channels, and that needs channels = true under [measure]"),
        ('coder = "zlib"', 'coder = "hevc"', "asks for lossless, and that needs a lossless coder"),
        ('anchor = "A2"', "", "asks for bd-rate, and that needs an anchor"),
    ],
)  # fmt: skip
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "mistaken.toml"
    assert old in SMALL
    path.write_text(SMALL.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(CallerError) as error:
        read(path)
    assert message in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = call(tmp_path / "none.toml")
    assert done.exit_code == 2
    assert "none.toml" in done.output


def test_changes_on_the_command_line(data: Path) -> None:
    found = small(data, "images.noise.count=6", "networks.tiny.weights=w.pth", "title=Other")
    assert found.networks[0].images.count == 6
    assert found.networks[0].weights == "w.pth"
    assert found.title == "Other"
    for change in ("title", "title.part=1", "networks.tiny.weight=1"):
        with pytest.raises(CallerError):
            small(data, change)


def test_paths_are_of_the_data_folder(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REFCODEC_DATA", raising=False)
    assert small(data).data == data
    monkeypatch.setenv("REFCODEC_DATA", str(tmp_path))
    monkeypatch.setenv("ELSEWHERE", "/there")
    found = small(data)
    assert found.path("a/b") == tmp_path / "a" / "b"
    assert found.path("$ELSEWHERE/b") == Path("/there/b")
    with pytest.raises(CallerError, match="no home folder"):
        found.path("~no-such-user/b")
    assert read(data / "small.toml", data=data).data == data


def test_lists_vary() -> None:
    choices = {"qp": [20, 30], "restoration": ["auto", "off"], "speed": "fast"}
    found = settings_of("native", "native", choices, Allocation())
    assert [one.label for one in found] == [
        f"QP {qp}, restoration {mode}" for qp in (20, 30) for mode in ("auto", "off")
    ]
    assert all(one.config.speed == "fast" and one.config.workers == 1 for one in found)


def test_an_allocation_makes_a_curve_of_its_own(data: Path) -> None:
    path = data / "allocated.toml"
    wanted = '["none", {method = "gradient", probes = [2, 4]}]'
    path.write_text(
        SMALL.replace('coder = "native"', f'coder = "native"\nallocation = {wanted}', 1),
        encoding="utf-8",
    )
    curves = {one.settings[0].curve: one.settings for one in read(path).coders}
    assert len(curves["native"]) == 3
    assert len(curves["native, gradient"]) == 6
    assert curves["native, gradient"][1].allocation == Allocation("gradient", {"probes": 4})
    assert curves["native, gradient"][1].label == "QP 20, probes 4"


def test_jobs_are_those_that_fit(data: Path) -> None:
    jobs = jobs_of(small(data))
    assert len(jobs) == JOBS
    assert {one.place.layer for one in jobs if one.setting.coder == "A2"} == {"conv1"}
    assert {one.place.layer for one in jobs if one.setting.coder == "jpeg"} == {"image"}
    assert {one.place.layer for one in jobs if one.setting.coder == "native"} == {"conv1", "pool2"}
    assert len({one.slug for one in jobs}) == JOBS


def test_parts_are_selected(data: Path) -> None:
    jobs = jobs_of(small(data))
    assert len(select(jobs, ["*/conv1"])) == 7
    assert len(select(jobs, ["*/*/native", "tiny/image"])) == 8
    assert [one.name for one in select(jobs, ["*/conv1/*/QP 30"])] == [
        "tiny/conv1/native/QP 30",
        "tiny/conv1/A2/QP 30",
    ]
    with pytest.raises(CallerError, match="no job matches"):
        select(jobs, ["conv1"])


def test_no_coder_fits(data: Path) -> None:
    with pytest.raises(CallerError, match="nothing to measure"):
        jobs_of(
            small(data, "networks.tiny.layers=['image']", "coders=[{coder='native'}]", "report={}")
        )


def test_two_points_of_one_name(data: Path) -> None:
    path = data / "twice.toml"
    path.write_text(SMALL + '\n[[coders]]\ncoder = "zlib"\n', encoding="utf-8")
    with pytest.raises(CallerError, match="make the point 'tiny/conv1/zlib'"):
        jobs_of(read(path))


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.toml")), ids=lambda path: path.stem)
def test_committed_experiments_can_be_read(path: Path) -> None:
    assert read(path).coders


@pytest.mark.data
@pytest.mark.skipif(DATA is None, reason="the networks and images are absent")
@pytest.mark.parametrize(
    "path", sorted(EXPERIMENTS.glob("*-cifar.toml")), ids=lambda path: path.stem
)
def test_committed_experiments_find_their_data(path: Path) -> None:
    assert jobs_of(read(path, data=DATA))


def test_a_file_of_sensitivities_is_part_of_the_key(data: Path) -> None:
    """It stands in the data folder, and another content makes other jobs."""
    changes = (
        "coders=[{coder='native', allocation={method='measured', sensitivity='found.json'}}]",
        "networks.tiny.layers=['conv1']",
        "report={}",
    )
    with pytest.raises(CallerError, match=r"found\.json: No such file"):
        jobs_of(small(data, *changes))
    slugs = []
    for content in ("{}", "[]", "{}"):
        (data / "found.json").write_text(content, encoding="utf-8")
        digest.cache_clear()
        (one,) = jobs_of(small(data, *changes))
        assert one.setting.allocation.parameters == {"sensitivity": str(data / "found.json")}
        slugs.append(one.slug)
    assert slugs[0] == slugs[2] != slugs[1]
    (data / "found.json").unlink()


# --- results ---------------------------------------------------------------------------------------


def test_a_row_a_job(output: Path) -> None:
    rows = rows_in(output)
    with (output / "results.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(rows) == len(table) == JOBS
    for row, cells in zip(rows, table, strict=True):
        assert int(cells["coded_bytes"]) == row["coded_bytes"] > 0
        assert float(cells["fidelity"]) == row["fidelity"]
        assert float(cells["output_snr_db"]) == float(row["output_snr_db"])


def test_figures_are_those_of_the_coder(data: Path, output: Path) -> None:
    """One point measured again by hand, from features to figures."""
    one = next(j for j in jobs_of(small(data)) if j.name == "tiny/conv1/native/QP 40")
    found = load_features(one.place, output / "features")
    assert found is not None
    stream = io.BytesIO()
    with refcodec.create(stream, coder="native", qp=40, workers=1, feature_type="conv") as writer:
        for feature in found.features:
            writer.write(feature)
    with refcodec.open(io.BytesIO(stream.getvalue())) as reader:
        decoded = np.stack(list(reader))
    outputs = Tail(one.place)(decoded)
    row = next(r for r in rows_in(output) if (r["layer"], r["point"]) == ("conv1", "QP 40"))
    size = len(stream.getvalue())
    expected = {
        "coded_bytes": size,
        "bits_per_element": metrics.bits_per_element(size, found.features.size),
        "compression_rate": metrics.compression_rate(size, found.features),
        "bytes_per_image": size / 12,
        "fidelity": metrics.fidelity(outputs, found.outputs),
        "output_snr_db": metrics.signal_to_noise(outputs, found.outputs),
        "feature_mse": metrics.mean_squared_error(decoded, found.features),
        "feature_snr_db": metrics.signal_to_noise(decoded, found.features),
        "top1": metrics.top1_accuracy(outputs, np.repeat([0, 1, 2], 4)),
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected)
    assert row["conforming"] is True
    assert row["nonzero_rate"] == pytest.approx(
        np.count_nonzero(found.features) / found.features.size
    )


def test_intervals_hold_the_figures(output: Path) -> None:
    for row in rows_in(output):
        for name in ("fidelity", "output_snr_db", "cosine", "bits_per_element", "top1"):
            low, value, high = (float(row[f"{name}{end}"]) for end in ("_low", "", "_high"))
            assert low <= value + 1e-9
            assert value <= high + 1e-9
    wide = [row for row in rows_in(output) if row["output_snr_db_low"] != row["output_snr_db_high"]]
    assert len(wide) == JOBS - 1  # lossless output is the same in every resample


def test_lossless_streams_come_back(output: Path) -> None:
    (row,) = (row for row in rows_in(output) if row["coder"] == "zlib")
    assert row["bit_exact"] is True
    assert row["output_snr_db"] == "inf"
    assert (row["fidelity"], row["fidelity_low"], row["fidelity_high"]) == (1, 1, 1)


def test_work_on_both_sides_of_the_cut(output: Path) -> None:
    macs = {row["layer"]: (row["head_macs"], row["tail_macs"]) for row in rows_in(output)}
    conv1, conv2, fc = 4 * 8 * 8 * 27, 6 * 4 * 4 * 36, 18
    assert macs == {
        "image": (0, conv1 + conv2 + fc),
        "conv1": (conv1, conv2 + fc),
        "pool2": (conv1 + conv2, fc),
    }


def test_jpeg_says_what_is_constant(output: Path) -> None:
    rows = [row for row in rows_in(output) if row["coder"] == "jpeg"]
    for row in rows:
        assert 0.3 * row["coded_bytes"] < row["constant_bytes"] < row["coded_bytes"]
    assert rows[0]["constant_bytes"] == rows[1]["constant_bytes"]


def test_bits_of_channels(output: Path) -> None:
    for row in rows_in(output):
        if row["coder"] == "native" and row["layer"] == "conv1":
            assert row["channels"]["qp"] == [float(row["point"].removeprefix("QP "))] * 4
            assert 0 < sum(row["channels"]["bytes"]) < 1.2 * row["bytes_per_image"]
        else:
            assert "channels" not in row


@pytest.mark.parametrize(
    ("coder", "allocation", "wanted"),
    [
        ("native", "none", True),
        ("native", "gradient", False),
        ("native", "tail-aware", False),
        ("hevc", "algorithm1", True),
        ("hevc", "gradient", True),
        ("hevc", "tail-aware", False),
    ],
)
def test_channels_are_measured_where_qps_are_all(
    data: Path, coder: str, allocation: str, wanted: bool
) -> None:
    """Else a feature that is coded again, by its QPs, is not what the stream holds."""
    one = f"coders=[{{coder='{coder}', allocation='{allocation}'}}]"
    (found,) = jobs_of(small(data, one, "networks.tiny.layers=['conv1']", "report={}"))
    assert job._wants_channels(found, np.zeros((1, 4, 8, 8))) is wanted


def test_a_curve_that_turns_still_reaches_a_quality() -> None:
    """The first point is the cheapest and the best, so that nothing can be interpolated."""
    experiment = read(EXPERIMENTS / "image-or-features.toml")
    points = [(10, 16.8), (20, 14.5)]
    setting: Any = SimpleNamespace(setting=settings_of("a", "native", {}, Allocation())[0])
    rows = [
        Row(
            setting,
            {"images": 2, "head_macs": 1, "tail_macs": 3},
            {"constant_bytes": 4},
            {"bytes_per_image": size, "output_snr_db": snr},
            {},
            {},
        )
        for size, snr in points
    ]
    found = equals({"here": [Line(tuple(rows))]}, experiment)
    assert [(one.level, one.size, one.bound) for one in found] == [
        (15, 10, True),
        (20, None, False),
    ]
    assert draw_equal(found[1:]) == {}
    (_, text) = (table.markdown() for table in equal_quality_tables(found))
    assert "not reached" in text


def test_curves_with_nothing_in_common() -> None:
    none = Comparison("here", "A2", "a|b", "snr", None, None, None, None)
    text = bd_rate_table([none]).markdown()
    assert (
        "| here | a\\|b | output SNR, dB | too little in common |  | too little in common |" in text
    )


def test_looks_are_told_apart() -> None:
    looks = [tuple(look(number).values()) for number in range(24)]
    assert len(set(looks)) == 24


def test_no_points_no_plot(output: Path) -> None:
    jobs = select(jobs_of(read(output.parent / "small.toml")), ["*/conv1/zlib"])
    lines = lines_of(load_row(one, run.Folders(output)) for one in jobs)
    assert draw_curves(lines, "snr") == {}
    assert draw_curves(lines, "fidelity").keys() == {"png", "svg"}


def test_summary(output: Path) -> None:
    document = json.loads((output / "results.json").read_text(encoding="utf-8"))
    compared = {(one["curve"], one["quality"]): one for one in document["comparisons"]}
    assert set(compared) == {("native", "snr"), ("native", "fidelity")}
    found = compared["native", "snr"]
    low, high = found["bd_rate_percent_interval"]
    assert low <= found["bd_rate_percent"] <= high
    equal = document["equal_quality"]
    assert {(one["quality"], one["level"]) for one in equal} == {("snr", 15), ("fidelity", 0.5)}
    bound = [one for one in equal if one["curve"] == "zlib"]
    assert all(one["bound"] and one["size"] > 0 for one in bound)


def test_environment(output: Path) -> None:
    found = json.loads((output / "results.json").read_text(encoding="utf-8"))["environment"]
    assert found["refcodec"] == refcodec.__version__
    assert found["cores"] == os.cpu_count()
    assert {"numpy", "torch", "numba"} <= set(found["packages"])
    assert len(found["experiment_sha256"]) == 64


def test_tables(output: Path) -> None:
    text = (output / "tables.md").read_text(encoding="utf-8")
    for heading in ("tiny/conv1: 12 features of 4 x 8 x 8", "Against A2", "At output SNR 15 dB"):
        assert f"## {heading}\n" in text
    for line in text.splitlines():
        assert not line.startswith("|") or line.endswith("|")


def test_plots(output: Path) -> None:
    names = {path.name for path in output.iterdir() if path.suffix in (".png", ".svg")}
    stems = ["rate-snr", "rate-fidelity", "nonzero", "equal-quality"]
    stems.append("channels-tiny-conv1-native-qp-30")
    assert names == {f"{stem}.{suffix}" for stem in stems for suffix in ("png", "svg")}
    for stem in stems:
        assert (output / f"{stem}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (output / f"{stem}.svg").read_text(encoding="utf-8")


# --- runs ------------------------------------------------------------------------------------------

FEW = ("--only", "*/conv1", "--set", 'report={tables=["points"]}')


def test_nothing_is_missing_afterwards(data: Path, output: Path) -> None:
    assert run.missing(jobs_of(small(data)), run.Folders(output)) == []


def test_a_run_is_resumed(data: Path, tmp_path: Path, measured: list[str]) -> None:
    arguments = (data / "small.toml", "--output", tmp_path, *FEW)
    assert call(*arguments).exit_code == 0
    assert len(measured) == 7
    result = next((tmp_path / "jobs").glob("tiny-conv1-a2-qp-20-*.json"))
    result.unlink()
    assert call(*arguments).exit_code == 0
    assert measured[7:] == ["tiny/conv1/A2/QP 20"]
    assert call(*arguments, "--set", "networks.tiny.layers=['conv1', 'pool1']").exit_code == 0
    assert len(measured) == 8  # the other layer is not among the chosen
    assert call(*arguments, "--set", "images.noise.count=6").exit_code == 0
    assert len(measured) == 8 + 7


def test_a_plan_is_what_is_ahead(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    done = call(data / "small.toml", "--output", folder, "--plan", "--only", "*/conv1/A2")
    assert done.exit_code == 0
    ahead = [line for line in done.output.splitlines() if line.startswith("tiny/")]
    assert ahead == [f"tiny/conv1/A2/QP {qp}" for qp in (20, 30, 40)]
    assert not folder.exists()


def test_a_change_of_code_is_noticed(
    data: Path, tmp_path: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (data / "small.toml", "--output", tmp_path, "--only", "*/conv1/zlib", *FEW[2:])
    assert call(*arguments).exit_code == 0
    for module in (run, job):
        monkeypatch.setattr(module, "code_digest", lambda part="": "other")
    assert call(*arguments, "--keep-old").exit_code == 0
    assert len(measured) == 1
    assert call(*arguments).exit_code == 0
    assert len(measured) == 2


def test_a_change_of_images_is_noticed(tmp_path: Path) -> None:
    make_images(tmp_path / "images", count=1)
    before = digest(tmp_path / "images")
    digest.cache_clear()
    assert digest(tmp_path / "images") == before
    (tmp_path / "images" / "a" / "1.png").write_bytes(b"")
    digest.cache_clear()
    assert digest(tmp_path / "images") != before


def test_a_failing_job_does_not_stop_the_others(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "failing.toml"
    path.write_text(
        SMALL.replace('layers = ["conv1"]\nqp', 'layers = ["pool2"]\nqp'), encoding="utf-8"
    )
    done = call(path, "--data", data, "--output", tmp_path, "--only", "*/pool2", *FEW[2:])
    assert done.exit_code == 1
    assert "tiny/pool2/A2/QP 20: the HEVC peers code maps" in done.output
    assert {row["coder"] for row in rows_in(tmp_path)} == {"native"}


def test_features_that_cannot_be_had(data: Path, tmp_path: Path) -> None:
    changes = ("--set", "networks.tiny.layers=['conv7', 'conv1']")
    done = call(
        data / "small.toml", "--output", tmp_path, *changes, "--only", "tiny/conv*", *FEW[2:]
    )
    assert done.exit_code == 1
    assert "tiny/conv7" in done.output
    assert {row["layer"] for row in rows_in(tmp_path)} == {"conv1"}
    assert not list((tmp_path / "features").glob(".*"))


def test_an_interrupted_run_keeps_what_is_done(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = select(jobs_of(small(data)), ["*/conv1"])
    folders, plain, count = run.Folders(tmp_path), job.measure, iter(range(99))

    def interrupted(*arguments: Any) -> None:
        if next(count) == 2:
            raise KeyboardInterrupt
        plain(*arguments)

    monkeypatch.setattr(job, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.run(jobs, folders)
    assert len(run.missing(jobs, folders)) == len(jobs) - 2
    (tmp_path / "jobs" / ".running.killed").mkdir()
    monkeypatch.setattr(job, "measure", plain)
    assert run.run(run.missing(jobs, folders), folders) == []
    assert run.missing(jobs, folders) == []
    assert not list((tmp_path / "jobs").glob(".*"))


def test_an_older_result_does_not_outlive_its_statistics(data: Path, tmp_path: Path) -> None:
    (one,) = select(jobs_of(small(data)), ["*/conv1/zlib"])
    job._keep(one, tmp_path, {"coded_bytes": 1}, {"bytes": np.ones(2)})
    assert job.load_result(one, tmp_path) == {"coded_bytes": 1}
    with pytest.raises(TypeError):  # as a kill between the two files would
        job._keep(one, tmp_path, {"coded_bytes": object()}, {"bytes": np.ones(3)})
    assert job.load_result(one, tmp_path) is None


@pytest.mark.slow
def test_processes_come_to_the_same(data: Path, output: Path, tmp_path: Path) -> None:
    pattern = ("--only", "*/conv1/native", *FEW[2:])
    assert call(data / "small.toml", "--output", tmp_path, "--workers", 2, *pattern).exit_code == 0
    same = ("coded_bytes", "fidelity", "output_snr_db", "output_snr_db_low", "feature_mse")
    ours = [[row[name] for name in same] for row in rows_in(tmp_path)]
    theirs = [row for row in rows_in(output) if (row["layer"], row["coder"]) == ("conv1", "native")]
    assert ours == [[row[name] for name in same] for row in theirs]


@pytest.mark.slow
def test_a_worker_that_dies_is_reported(data: Path, tmp_path: Path) -> None:
    jobs = select(jobs_of(small(data)), ["*/conv1/native/QP 20"])
    (failure,) = run._run_all([(_die, job, run.Folders(tmp_path)) for job in jobs], workers=2)
    assert failure.name == "tiny/conv1/native/QP 20"
    assert "a worker process died" in failure.reason


def _die(*_: object) -> None:
    os._exit(1)


def test_pixels_are_measured(tmp_path: Path) -> None:
    (tmp_path / "scenes.toml").write_text(
        """
        title = "Scenes"
        [networks.tiny]
        model = "tiny_network:segment"
        layers = ["conv1"]
        [images.scenes]
        source = "scenes:3"
        size = 96
        [[coders]]
        coder = "native"
        qp = 45
        """,
        encoding="utf-8",
    )
    assert call(tmp_path / "scenes.toml", "--output", tmp_path).exit_code == 0
    (row,) = rows_in(tmp_path)
    assert 0 < row["mean_iou"] < 1
    kept = 3 * 96 * 96 * row["fidelity"]  # pixels: a whole number, but for its rounding
    assert kept == pytest.approx(round(kept), rel=1e-9)
    assert 0 < round(kept) <= 3 * 96 * 96
    assert "top1" not in row


def test_allocations_reach_the_encoder(data: Path, tmp_path: Path) -> None:
    """The channels of a stream by Algorithm 1 have QPs of their own, none above the base."""
    changes = (
        "coders=[{coder='hevc', qp=30, packing='frame', allocation=['none', 'algorithm1']}]",
        "networks.tiny.layers=['conv1']",
        "measure.channels=true",
        "report={}",
    )
    sets = [part for change in changes for part in ("--set", change)]
    done = call(data / "small.toml", "--output", tmp_path, *sets)
    assert done.exit_code == 0, done.output
    plain, allocated = rows_in(tmp_path)
    assert allocated["curve"] == "hevc, algorithm1"
    assert plain["channels"]["qp"] == [30] * 4
    assert len(set(allocated["channels"]["qp"])) > 1
    assert max(allocated["channels"]["qp"]) <= 30
    assert allocated["coded_bytes"] > plain["coded_bytes"]


# --- the peers -------------------------------------------------------------------------------------


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 20), st.integers(1, 20)),
    st.booleans(),
)
def test_frames_hold_the_samples(shape: tuple[int, ...], tiled: bool) -> None:
    samples = np.random.default_rng(0).integers(0, 1024, shape).astype(np.uint16)
    frames = peers.to_frames(samples, tiled=tiled)
    assert min(frames.shape[1:]) >= 16
    np.testing.assert_array_equal(peers.from_frames(frames, shape, tiled=tiled), samples)


@pytest.mark.parametrize("name", peers.PEERS)
def test_peers_count_parameter_sets_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(1).random((4, 3, 16, 16), np.float32)
    whole = Peer(peers.PEERS[name], 20).encode(features)
    assert whole.total == whole.per_image.sum() + whole.constant
    assert 60 < whole.constant < 120
    monkeypatch.setattr(protocol, "_PORTION_BYTES", 2 * features[0].nbytes)
    parts = Peer(peers.PEERS[name], 20)
    assert parts.encode(features).constant == whole.constant
    decoded = np.stack(list(parts.decode()))
    assert metrics.signal_to_noise(decoded, features) > 15


def pictures() -> np.ndarray:
    x, y = np.mgrid[:32, :32] / 31
    planes = [x, y, (x + y) / 2]
    return np.stack([np.stack(planes, -1), np.stack(planes[::-1], -1)]) * 255


@pytest.mark.parametrize(
    "make",
    [lambda: Jpeg(95, "4:4:4"), lambda: HevcImage(10, "4:4:4", "fast")],
    ids=["jpeg", "hevc-image"],
)
def test_image_coders(make: Callable[[], Any]) -> None:
    images = pictures().astype(np.uint8)
    coder = make()
    found = coder.encode(images)
    decoded = np.stack(list(coder.decode()))
    assert decoded.shape == images.shape
    assert metrics.signal_to_noise(decoded, images) > 30
    assert len(found.per_image) == 2
    assert 0 < found.constant < found.total


def test_payloads_belong_to_images() -> None:
    features = np.random.default_rng(2).random((5, 4, 8, 8), np.float32)
    stream = io.BytesIO()
    write_features(stream, features, refcodec.EncoderConfig(qp=20), Allocation(), None)
    sizes = [len(one.data) for one in payloads(stream)]
    assert len(sizes) == 5
    assert 0.5 * len(stream.getvalue()) < sum(sizes) < len(stream.getvalue())


# --- real networks ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layer", "size", "output"),
    [("resnet50", "conv2", 64, 1000), ("fcn_resnet50", "pool2", 32, 21)],
)
def test_torchvision_networks(
    data: Path, tmp_path: Path, name: str, layer: str, size: int, output: int
) -> None:
    """Randomly initialised, at a small size: the way that the papers' networks take."""
    if find_spec("torchvision") is None:
        pytest.skip("torchvision is absent")
    (tmp_path / "real.toml").write_text(
        f"""
        title = "Real"
        [networks.{name}]
        layers = ["image", "{layer}"]
        [images.noise]
        source = "images"
        size = {size}
        count = 3
        [[coders]]
        coder = "native"
        qp = 30
        [[coders]]
        coder = "jpeg"
        """,
        encoding="utf-8",
    )
    done = call(tmp_path / "real.toml", "--data", data, "--output", tmp_path)
    assert done.exit_code == 0, done.output
    image, feature = rows_in(tmp_path)
    assert image["tail_macs"] == feature["head_macs"] + feature["tail_macs"]
    assert feature["conforming"] is True
    outputs = np.load(
        next((tmp_path / "features").glob(f"{name.replace('_', '-')}-image*/outputs.npy"))
    )
    assert outputs.shape[:2] == (3, output)
