"""Values escaped for XML that is written as text, straight in canonical form.

What is signed must be in exclusive canonical form. Headers of a fixed shape are therefore
written in that form in the first place, from templates that show the shape: the bytes that
are hashed are the bytes that are sent, and no tree is built, canonicalized and serialized
for them. A template declares its namespaces by prefix, then has its attributes by namespace
and name, and no empty-element tags (Canonical XML 1.0, 2.3); a test compares each with lxml.
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


def text(value: str) -> str:
    """``value`` between tags; :class:`WireError` (``STRUCTURE``) when XML cannot hold it."""
    return value if _PLAIN.fullmatch(value) else _checked(value).translate(_IN_TEXT)


def quoted(value: str) -> str:
    """``value`` between double quotes, as an attribute; :class:`WireError` as for :func:`text`."""
    return value if _PLAIN.fullmatch(value) else _checked(value).translate(_IN_ATTRIBUTE)


def attribute(name: str, value: str | None) -> str:
    """An optional attribute with the space before it; nothing when there is no value."""
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
