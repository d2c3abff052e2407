"""Memory of this process: what it holds, and whether freed memory goes back to the system.

The latter decides a fifth of a training's time on a CPU.
"""

from __future__ import annotations

import ctypes
import re
import resource
import sys
from pathlib import Path

# Options of malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8


def keep_freed_memory() -> None:
    """Lets glibc keep what the process frees instead of giving it back to the kernel.

    A compiled step takes some hundred MB of buffers and frees them at its end. Given back, each of
    their pages costs a page fault in the next step: steps of the default model at 60 positions
    took 680 to 750 ms so, and take 565 ms with the memory kept. To be called before anything
    starts a thread, so before TensorFlow is imported: the number of arenas is settled then, and
    only the main one keeps large blocks. Does nothing where the C library is another.
    """
    if not sys.platform.startswith("linux"):
        return

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_ARENA_MAX, 1)


def resident_mb() -> float:
    """The memory that this process holds now, in MB; Linux only."""
    return _status_mb("VmRSS")


def peak_mb() -> float:
    """The most memory that this process has held, in MB."""
    # On Linux `getrusage` gives the peak of the process that has started this one, if larger.
    if sys.platform.startswith("linux"):
        return _status_mb("VmHWM")

    # macOS counts bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _status_mb(name: str) -> float:
    """A line of what Linux says of this process."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    kilobytes = re.search(rf"{name}:\s+(\d+)", status)
    assert kilobytes, "Linux says so of every process"
    return int(kilobytes.group(1)) / 1024
