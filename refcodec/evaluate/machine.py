"""The machine and the versions of packages that figures were measured with."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["describe_machine", "load_average"]


def describe_machine(packages: Iterable[str]) -> dict[str, Any]:
    """Date, processor, cores, system, Python, and the versions of the packages that are installed."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": dict(_versions(packages)),
    }


def load_average() -> float | None:
    """Processes that ran or waited, on average over the last minute; None where the system does not count."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def _versions(packages: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in packages:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
