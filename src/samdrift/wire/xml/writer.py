"""Escaping of values for XML that is written as text, directly in canonical form.

Signed XML must be in exclusive canonical form. Headers with a fixed structure are therefore written in that
form directly, from templates that show the structure: the bytes that are hashed are the bytes that are sent,
and no tree is built, canonicalised and serialised for them. A template declares its namespaces by prefix,
then has its attributes by namespace and name, and no empty-element tags (Canonical XML 1.0, 2.3); a test
compares each with lxml.
"""

from __future__ import annotations

import re

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml.reader import Namespace

_PLAIN = re.compile("[ !#-%'-;=?-~\xa0-\ud7ff]*")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_IN_TEXT = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord("\r"): "&#xD;"}
_IN_ATTRIBUTE = {
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord('"'): "&quot;",
    ord("\t"): "&#x9;",
    ord("\n"): "&#xA;",
    ord("\r"): "&#xD;",
}


def representable(value: str) -> str:
    """Return ``value`` with a space in place of each character that XML cannot represent."""
    return _NOT_XML.sub(" ", value)


def text(value: str) -> str:
    """Escape ``value`` as text; raise :class:`WireError` (``STRUCTURE``) if XML cannot represent it."""
    return value if _PLAIN.fullmatch(value) else _checked(value).translate(_IN_TEXT)


def quoted(value: str) -> str:
    """Escape ``value`` for an attribute in double quotes; raise :class:`WireError` as :func:`text` does."""
    return value if _PLAIN.fullmatch(value) else _checked(value).translate(_IN_ATTRIBUTE)


def attribute(name: str, value: str | None) -> str:
    """Return an optional attribute with a leading space; empty if there is no value."""
    return "" if value is None else f' {name}="{quoted(value)}"'


def _checked(value: str) -> str:
    if _NOT_XML.search(value):
        raise WireError(WireFault.STRUCTURE, "a value holds characters that XML cannot")
    return value


XMLNS_S12 = f'xmlns:S12="{Namespace.SOAP12}"'
XMLNS_DS = f'xmlns:ds="{Namespace.DSIG}"'
XMLNS_EB = f'xmlns:eb="{Namespace.EBMS3}"'
XMLNS_EBBP = f'xmlns:ebbp="{Namespace.EBBP_SIGNALS}"'
XMLNS_WSSE = f'xmlns:wsse="{Namespace.WSSE}"'
XMLNS_WSSE11 = f'xmlns:wsse11="{Namespace.WSSE11}"'
XMLNS_WSU = f'xmlns:wsu="{Namespace.WSU}"'
XMLNS_XENC = f'xmlns:xenc="{Namespace.XENC}"'
XMLNS_XENC11 = f'xmlns:xenc11="{Namespace.XENC11}"'
