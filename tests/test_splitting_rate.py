"""QPs of split inference under a bit rate and under a target latency, by simulation; and its figures."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from rich.console import Console

from refcodec.splitting.rate import BitRate, Constant, Latency
from refcodec.splitting.stats import Stats
from refcodec.splitting.view import live, table_of


def simulated(control: Any, bits_at: Callable[[float], float], interval: float) -> Any:
    """Times, QPs and bits of 600 requests, one in each interval unless the bucket is full."""
    now, sent = 0.0, []
    for number in range(600):
        now = max(now, number * interval)
        qp = control.choose(now)
        bits = round(bits_at(qp))
        now += control.wait(bits, now)
        sent.append((now, qp, bits))
    return sent


@pytest.mark.parametrize("halving", [5, 7, 12])
@pytest.mark.parametrize("rate", [2e5, 1e6])
def test_a_bit_rate_is_kept_and_used(halving: float, rate: float) -> None:
    sent = simulated(BitRate(rate, 10, 63), lambda qp: 1e6 * 2 ** (-qp / halving), 1 / 30)
    for start, _, _ in sent:
        window = [bits for time, _, bits in sent if start <= time < start + 1]
        assert sum(window) <= rate + max(rate, *window, 0)
    late = sent[200:]
    mean = sum(bits for _, _, bits in late) / (late[-1][0] - late[0][0])
    assert 0.78 * rate < mean < 1.05 * rate
    assert max(qp for _, qp, _ in late) - min(qp for _, qp, _ in late) <= 3


def test_steps_are_bounded_and_the_configured_qp_is_the_finest() -> None:
    sent = simulated(BitRate(1e5, 20, 63), lambda qp: 1e7 * 2 ** (-qp / 6), 1 / 30)
    assert all(abs(one[1] - other[1]) <= 6 for one, other in pairwise(sent))
    assert max(one[1] for one in sent) == 63
    easy = simulated(BitRate(1e9, 20, 63), lambda qp: 1e5 * 2 ** (-qp / 6), 1 / 30)
    assert {one[1] for one in easy} == {20}


def test_a_request_beyond_the_bucket_waits_for_an_empty_one() -> None:
    control = BitRate(1000, 20, 63)
    assert control.wait(5000, 0.0) == 0
    assert control.wait(5000, 1.0) == pytest.approx(4.0)


@pytest.mark.parametrize("target", [0.05, 0.2])
def test_a_latency_is_met_where_the_qp_can(target: float) -> None:
    control, taken = Latency(target, 10, 63), []
    for number in range(200):
        taken.append(0.01 + 2e6 * 2 ** (-control.choose(float(number)) / 6) / 1e6)
        control.learn(taken[-1])
    assert all(0.8 * target < one < 1.2 * target for one in taken[50:])


def test_a_latency_out_of_reach_asks_for_the_largest_qp_and_one_that_is_easy_for_the_finest() -> (
    None
):
    slow, quick = Latency(0.01, 10, 51), Latency(10.0, 10, 51)
    for control, qp in ((slow, 51), (quick, 10)):
        for _ in range(50):
            control.learn(1.0)
        assert control.choose(0.0) == qp
        assert control.wait(1 << 30, 0.0) == 0


def test_a_constant_is_constant() -> None:
    control = Constant()
    control.learn(100.0)
    assert control.choose(0.0) is None
    assert control.wait(1 << 30, 0.0) == 0


def test_figures() -> None:
    stats = Stats()
    assert stats.ms == {}
    for milliseconds in range(100):
        stats.answered(2, {"head": 0.001, "encode": milliseconds / 1000})
    stats.count(bytes_sent=20_000, bytes_received=2_000, failed=1)
    stats.qp = 33
    assert stats.ms == pytest.approx({"head": 1, "encode": 49.5, "total": 50.5})
    assert stats.percentile(95)["encode"] == pytest.approx(94.05)
    out = io.StringIO()
    Console(file=out, width=120).print(table_of(stats, "client"))
    text = " ".join(out.getvalue().split())
    assert (
        "client: requests 100, images 200, failed 1, bytes an image 100 out, 10 in, QP 33" in text
    )
    assert "94.0" in text


def test_figures_are_shown_on_terminals_alone(capsys: Any, monkeypatch: Any) -> None:
    stats = Stats()
    stats.answered(1, {"head": 0.001})
    with live(stats, "client"):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with live(stats, "client"):
        pass
    assert "requests 1" in capsys.readouterr().err
