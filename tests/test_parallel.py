"""Threads share work in tasks that are worth it, and results come in order."""

from __future__ import annotations

import threading

import pytest

from refcodec.coders import parallel
from refcodec.coders.parallel import in_parallel


@pytest.mark.parametrize("elements", [1, 100, 1000, 1 << 20])
@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 40, 400])
def test_order(elements: int, workers: int, count: int) -> None:
    assert list(in_parallel(lambda n: n * n, range(count), workers, elements)) == [
        n * n for n in range(count)
    ]


def test_small_items_go_to_a_thread_together() -> None:
    def thread(_: int) -> int:
        return threading.get_ident()

    each = parallel._TASK // 1024
    found = list(in_parallel(thread, range(10 * each), 2, 1024))
    assert all(len(set(found[start : start + each])) == 1 for start in range(0, len(found), each))
    assert threading.get_ident() not in found
    assert set(in_parallel(thread, range(each), 2, 1024)) == {threading.get_ident()}


def test_few_results_wait() -> None:
    """No more is begun ahead of what is taken than a few tasks of each thread."""
    begun: list[int] = []
    results = in_parallel(lambda n: begun.append(n), range(1000), 2, parallel._TASK)
    next(results)
    assert len(begun) <= 2 * parallel._AHEAD + 2


def test_errors_reach_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_parallel(lambda n: 1 // (n - 30), range(100), 2, 1024))
