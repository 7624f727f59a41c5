"""Limits that a process sets itself before it receives any secret, and the return of freed memory."""

from __future__ import annotations

import ctypes
import os
import resource
import sys

from samdrift.processes.handover import Limits

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_LARGEST_FILE = 4 << 30
"""Maximum size of a file in bytes; no message that is accepted needs a larger one."""


def leave_no_trace() -> None:
    """Disable core dumps, memory access by processes of the same user, and gaining privileges."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def take_no_more_than(limits: Limits) -> None:
    """Limit memory, descriptors, processes and file sizes; lower limits that are already set remain."""
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
    """Make the C library return large blocks of memory to the system as soon as they are freed.

    By default glibc learns from each large block to keep such blocks: after a few messages of 30 MB a process
    held several times the memory that it used. Setting the threshold turns that off. Other C libraries are
    not affected.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_MMAP_THRESHOLD, _LARGE)
