"""Canonical forms of a document and of a part of it; that of a document is streamed to a hash.

lxml's canonicaliser does the work; this module adds what a *part* of a document needs in the inclusive forms
and lxml omits: the ``xml:`` attributes of the ancestors (Canonical XML 1.0, 2.4). Comments are never part of
the form.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

from lxml import etree

from samdrift.wire.crypto.xmldsig.algorithms import Canonicalization
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import Element, canonical, no_canonical_form, standalone

_XML = "{http://www.w3.org/XML/1998/namespace}"
_INHERITED_1_1 = frozenset({f"{_XML}lang", f"{_XML}space"})


class Sink(Protocol):
    """Receiver of a canonical form, piece by piece."""

    def write(self, data: bytes, /) -> object: ...


class DigestSink(Sink, Protocol):
    """A sink that returns the SHA-256 of everything written to it."""

    def digest(self) -> bytes: ...


class HashSink:
    """A sink that hashes its input without storing it."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.write = self._hash.update

    def digest(self) -> bytes:
        return self._hash.digest()


def canonical_document(
    root: Element, method: Canonicalization, prefixes: tuple[str, ...], sink: Sink
) -> None:
    """Write the canonical form of the whole document of ``root``, including what surrounds the root.

    Versions 1.0 and 1.1 differ only for parts of documents. Raises :class:`WireError` if no canonical form
    exists, like :func:`samdrift.wire.xml.reader.canonical`.
    """
    try:
        root.getroottree().write_c14n(  # type: ignore[call-arg]
            sink,  # type: ignore[arg-type]
            exclusive=method is Canonicalization.EXCLUSIVE,
            with_comments=False,
            inclusive_ns_prefixes=list(prefixes) or None,  # type: ignore[arg-type]
        )
    except etree.C14NError:
        raise no_canonical_form() from None


def canonical_part(element: Element, method: Canonicalization, prefixes: tuple[str, ...] = ()) -> bytes:
    """Return the canonical form of ``element`` in its document, with the namespaces in scope there.

    Raises :class:`WireError` (``ALGORITHM``) for the one difference in version 1.1 that no profile needs: an
    inherited ``xml:base`` or ``xml:id``.
    """
    if method is Canonicalization.EXCLUSIVE:
        return canonical(element, exclusive=True, inclusive_prefixes=prefixes)
    inherited = _inherited_attributes(element)
    if not inherited:
        return canonical(element, exclusive=False)
    if method is Canonicalization.INCLUSIVE_1_1 and not _INHERITED_1_1.issuperset(inherited):
        raise WireError(WireFault.ALGORITHM, "xml:base or xml:id above a part in canonical form 1.1")
    part = standalone(element)
    for key, value in inherited.items():
        if key not in part.attrib:
            part.set(key, value)
    return canonical(part, exclusive=False)


def _inherited_attributes(element: Element) -> dict[str, str]:
    """Return the ``xml:`` attributes of the ancestors, the nearest one of each name."""
    found: dict[str, str] = {}
    for ancestor in element.iterancestors():
        for key, value in ancestor.attrib.items():
            if str(key).startswith(_XML):
                found.setdefault(str(key), str(value))
    return found
