"""What becomes of large pieces of memory when nobody needs them any more."""

from __future__ import annotations

import ctypes
import sys

_MMAP_THRESHOLD = -3
_LARGE = 16 << 20


def give_large_pieces_back() -> None:
    """Have the C library return large pieces to the system as soon as they are free.

    glibc learns from each large piece that it may keep such pieces: after a few
    messages of 30 MB a process held several times what it used. A size that is set
    is not learned any more. Other C libraries are left alone.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_MMAP_THRESHOLD, _LARGE)
