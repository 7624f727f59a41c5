"""Start-up of a process: modules are imported with the garbage collector switched off.

The functions and classes of the modules, some hundred thousand objects, live as long as the process.
Collections during the import find no garbage, and every later one, including the one at exit, would traverse
all these objects again: a quarter of the CPU time of a short command.
"""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from types import ModuleType


def import_for_life(name: str) -> ModuleType:
    """Import a module, and exclude all existing objects from garbage collection; once for each module."""
    if name not in sys.modules:
        gc.disable()
        try:
            import_module(name)
        finally:
            gc.freeze()
            gc.enable()
    return sys.modules[name]
