"""An SDK message as frozen types (content-specification 4.3).

The fields correspond to the XML one to one: texts are kept as received, and the base64 of a file is decoded
only on demand, since a message service mostly passes it on. Their ``repr`` shows no values, so that no log or
traceback shows content (invariant 9).
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass

from samdrift.wire.errors import WireError, WireFault


@dataclass(frozen=True, slots=True, repr=False)
class Ii:
    """An identifier in a code system: ``root`` names the system, ``extension`` is the identifier in it."""

    root: str
    extension: str


@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """A person who is referred to; messages are addressed to functions, never to people (4.3.2.3)."""

    id: Ii | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Reference:
    """The sender's or the recipient's own reference, such as a case number (4.3.2.3)."""

    id: Ii
    label: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Attention:
    """The functional address of a party, with people and references (4.3.2.3)."""

    sub_organisation: Ii
    sub_organisation_label: str | None = None
    persons: tuple[Person, ...] = ()
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Party:
    """The sending or receiving organisation (4.3.2.1, 4.3.2.2); a recipient always has ``attention``."""

    id: Ii
    label: str | None = None
    attention: Attention | None = None


@dataclass(frozen=True, slots=True, repr=False)
class File:
    """An attachment (4.3.3.3): name, MIME type, and the base64 text as it is in the message."""

    name: str
    content_type: str
    content: str

    def data(self) -> bytes:
        """Decode the content; raise :class:`WireError` if the text is not base64 as in RFC 4648."""
        try:
            return binascii.a2b_base64(self.content, strict_mode=True)
        except ValueError:
            raise WireError(WireFault.STRUCTURE, "not base64 as in RFC 4648", "content") from None


@dataclass(frozen=True, slots=True, repr=False)
class Document:
    """Texts and files that belong together (4.3.3.1); ``index`` is its position among several documents."""

    id: str
    name: str | None = None
    index: str | None = None
    files: tuple[File, ...] = ()
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class SdkMessage:
    """A message (4.3.1, 4.3.2). ``created`` is the timestamp as written."""

    created: str
    message_id: str
    conversation_id: str
    ref_to_message_id: str | None
    label: str
    confidentiality: bool
    generating_system: Ii | None
    recipient: Party
    sender: Party
    documents: tuple[Document, ...]
