"""Large pieces of memory are returned to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from samdrift.processes.confinement import give_large_pieces_back

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

if sys.argv[1] == "set":
    give_large_pieces_back()
large = b"1" * (20 << 20)
del large  # from here on the C library keeps pieces of this size, if it may learn
before = resident()
large = b"1" * (20 << 20)
small = [bytearray(600) for _ in range(1000)]  # lie behind it
del large
print(resident() - before)
"""


def kept(setting: str) -> int:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, setting], capture_output=True, check=True, text=True
    )
    return int(ended.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="how other systems keep memory is left to them")
def test_a_large_piece_goes_back_to_the_system() -> None:
    assert kept("set") < 5 << 20
