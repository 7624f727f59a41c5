"""Search for dataclasses of a package that are not frozen."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from dataclasses import is_dataclass


def changeable(package: str) -> set[str]:
    """Return the names of the dataclasses in ``package`` and below that are not frozen."""
    root = importlib.import_module(package)
    found = set[str]()
    for each in pkgutil.walk_packages(root.__path__, f"{package}."):
        module = importlib.import_module(each.name)
        for name, value in inspect.getmembers(module, inspect.isclass):
            if (
                value.__module__ == each.name
                and is_dataclass(value)
                and not value.__dataclass_params__.frozen
            ):
                found.add(name)
    return found
