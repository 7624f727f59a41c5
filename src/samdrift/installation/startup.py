"""Start-up of a process: the modules that it is for are imported without the garbage collector.

A module's functions and classes live as long as the process, some hundred thousand objects of them.
Collecting garbage while they are made finds none, and every later collection, the one at the end
included, would look at all of them again: a quarter of the CPU that a short command takes.
"""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from types import ModuleType


def import_for_life(name: str) -> ModuleType:
    """Import a module, and keep the collector from looking at what exists then; once for each module."""
    if name not in sys.modules:
        gc.disable()
        try:
            import_module(name)
        finally:
            gc.freeze()
            gc.enable()
    return sys.modules[name]
