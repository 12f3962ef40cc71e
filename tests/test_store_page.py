"""The simulation of more workers than a machine has, on the page of stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def simulate(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "tools" / "bench")
    import store_page

    return store_page.simulate


def test_one_worker_does_all(simulate: Any) -> None:
    assert simulate([1.0, 3.0], 5, 1, 0.0) == 9.0
    assert simulate([1.0, 3.0], 5, 1, 0.5) == 11.5


def test_workers_share_until_the_scheduler_is_the_limit(simulate: Any) -> None:
    assert simulate([2.0], 8, 4, 0.0) == 4.0
    assert simulate([2.0], 9, 4, 0.0) == 6.0
    assert simulate([2.0], 100, 1000, 0.0) == 2.0
    assert simulate([2.0], 100, 1000, 0.5) == 52.0


def test_a_long_task_does_not_hold_up_the_others(simulate: Any) -> None:
    assert simulate([9.0, 1.0, 1.0, 1.0], 4, 2, 0.0) == 9.0
