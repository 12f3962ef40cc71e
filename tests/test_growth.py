"""The benchmark of growth: its fit, its budget, and every path at tiny sizes."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[1] / "tools" / "bench"
SIZES = (100, 300, 1_000, 3_000, 10_000)
MEBI = 1 << 20


@pytest.fixture
def fit(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCH)
    return importlib.import_module("growth_fit")


@pytest.fixture
def bench(fit: Any) -> Any:
    return importlib.import_module("bench_growth")


@pytest.fixture
def paths(fit: Any) -> Any:
    return importlib.import_module("growth_paths")


def growth(fit: Any, seconds: Any, memory: Any = lambda units: 0) -> Any:
    points = [fit.Point(units, seconds(units), memory(units)) for units in SIZES]
    return fit.Growth("reading", "made up", tuple(points))


def wobble(units: int) -> float:
    """A factor like that of a busy machine."""
    return 1.08 if SIZES.index(units) % 2 else 0.92


@pytest.mark.parametrize("power", [1, 2])
def test_exponents_are_told_apart(fit: Any, power: int) -> None:
    found = growth(fit, lambda units: 1e-6 * units**power * wobble(units))
    assert found.time_exponent == pytest.approx(power, abs=0.1)


def test_a_quadratic_part_shows_behind_a_linear_one(fit: Any) -> None:
    found = growth(fit, lambda units: 1e-3 * units + 1e-6 * units**2)
    assert found.time_exponent > 1.5
    linear = growth(fit, lambda units: 0.05 + 1e-3 * units)
    assert 0.9 < linear.time_exponent < 1.1


def test_growth_of_memory(fit: Any) -> None:
    flat = growth(fit, lambda units: units, lambda units: 7 * MEBI + units % 7)
    assert flat.memory_exponent is None
    assert abs(flat.bytes_per_unit) < 1
    found = growth(fit, lambda units: units, lambda units: 7 * MEBI + 1_000 * units)
    assert found.bytes_per_unit == pytest.approx(1_000)
    assert found.memory_exponent == pytest.approx(1, abs=0.1)


def test_a_single_size_has_no_growth(fit: Any) -> None:
    found = fit.Growth("reading", "made up", (fit.Point(100, 1.0, MEBI),))
    assert (found.time_exponent, found.bytes_per_unit, found.memory_exponent) == (None, None, None)


def test_records_come_back(fit: Any) -> None:
    found = growth(fit, lambda units: units / 3)
    assert fit.Growth.from_json(json.loads(json.dumps(found.as_json()))) == found


def test_the_budget_stops_a_quadratic_path(
    fit: Any, bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def child(job: Any, limit: float) -> str:
        if job.path not in bench.PATHS:
            job.stream(job.path).touch()
            return ""
        return json.dumps({"units": job.units, "seconds": 1e-6 * job.units**2, "memory": 0})

    monkeypatch.setattr(bench, "_child", child)
    jobs = [bench.Job("validating", size, str(tmp_path)) for size in SIZES]
    found = bench.measure_path(jobs, bench.Streams(budget=20))
    assert [one.units for one in found.points] == [100, 300, 1_000, 3_000]
    assert found.time_exponent == pytest.approx(2)
    assert "10,000" in found.stopped


def test_every_path_runs(paths: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "_RUNS", 1)
    for kind in paths.STREAMS:
        job = paths.Job(kind, 20, str(tmp_path))
        paths.write_stream(job, kind, job.stream(kind))
    for name in paths.PATHS:
        point = paths.measure(paths.Job(name, 20, str(tmp_path)))
        assert (point.units, point.seconds > 0, point.memory >= 0) == (20, True, True)


def test_program(tmp_path: Path) -> None:
    page, plot = tmp_path / "growth.rst", tmp_path / "growth.png"
    command = [sys.executable, str(BENCH / "bench_growth.py"), "--sizes", "10", "30"]
    command += ["--paths", "closing", "--most", "99"]
    command += ["--page", str(page), "--plot", str(plot)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "closing" in done.stdout
    record = json.loads(page.with_suffix(".json").read_text())
    assert [one["name"] for one in record["paths"]] == ["closing"]
    assert [one["units"] for one in record["paths"][0]["points"]] == [10, 30]
    assert ".. image:: /images/growth.png" in page.read_text()
    assert plot.read_bytes().startswith(b"\x89PNG")
