"""Errors for unusable input, and escaping of file names and peers' texts for output on one line."""

from __future__ import annotations

from os import PathLike, fsencode

from samdrift.contracts.errors import Explained


class Unusable(Explained):
    """An unusable input or command line; the text is one line for the person who gave it."""


def shown(path: PathLike[str]) -> str:
    """Return the name of a file, escaped for output on one line."""
    return printable(fsencode(path).decode("utf-8", "backslashreplace"))


def printable(text: str) -> str:
    """Return ``text``, possibly from a peer, with unprintable characters escaped for output on one line."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
