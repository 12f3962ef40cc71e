"""Peak memory of the process that asks, in bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from refcodec.errors import EnvironmentFault

__all__ = ["peak", "reset_peak"]


def reset_peak() -> int:
    """Let the peak start anew where Linux can; returns the bytes resident now, elsewhere the old peak."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return int(Path("/proc/self/statm").read_text().split()[1]) * int(_resource().getpagesize())
    except OSError:
        return _peak_of_process()


def peak() -> int:
    """Most bytes resident at a time since the peak was reset."""
    try:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    except OSError:
        return _peak_of_process()


def _peak_of_process() -> int:
    """Peak since the process began; on Linux it may include that of the program that started it."""
    resource = _resource()
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 1024


def _resource() -> Any:
    try:
        import resource
    except ImportError:
        raise EnvironmentFault(
            "this system does not tell a process its peak memory", hint="measure on Linux"
        ) from None
    return resource
