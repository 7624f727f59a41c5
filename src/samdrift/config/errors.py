"""Errors for unusable input, and the escaping of names and peers' texts in one line."""

from __future__ import annotations

from os import PathLike, fsencode

from samdrift.contracts.errors import Explained


class Unusable(Explained):
    """An input or a command line that cannot be used; the text is one line for the person who gave it."""


def shown(path: PathLike[str]) -> str:
    """The name of a file as one line can show it."""
    return printable(fsencode(path).decode("utf-8", "backslashreplace"))


def printable(text: str) -> str:
    """``text``, which may be a peer's, as one line can show it: what cannot be printed is escaped."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
