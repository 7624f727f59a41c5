"""Limits that a process sets itself before it gets any secret, and how it gives memory back."""

from __future__ import annotations

import ctypes
import os
import resource
import sys

from samdrift.processes.handover import Limits

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_LARGEST_FILE = 4 << 30
"""Bytes: no message that is taken needs a larger one."""


def leave_no_trace() -> None:
    """Disable core dumps, access to the memory by processes of the same user, and regaining rights."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def take_no_more_than(limits: Limits) -> None:
    """Limit memory, descriptors, processes and the size of files; lower limits are kept."""
    _lower(resource.RLIMIT_DATA, limits.memory)
    _lower(resource.RLIMIT_NOFILE, limits.open_files)
    _lower(resource.RLIMIT_FSIZE, _LARGEST_FILE)
    if limits.processes is not None:
        _lower(resource.RLIMIT_NPROC, limits.processes)


def _lower(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


_MMAP_THRESHOLD = -3
_LARGE = 16 << 20


def give_large_pieces_back() -> None:
    """Have the C library return large pieces to the system as soon as they are free.

    glibc learns from each large piece that it may keep such pieces: after a few messages of 30 MB a process
    held several times what it used. Setting the size turns that learning off. Other C libraries are left
    alone.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_MMAP_THRESHOLD, _LARGE)
