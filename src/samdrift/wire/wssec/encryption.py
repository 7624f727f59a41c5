"""Encryption of an attachment: its description in the header, and its content as a stream.

Only AES-128-GCM is accepted for the content, and RSA-OAEP with SHA-256 and MGF1-SHA256 for the single wrapped
key (eDelivery AS4 common profile, transport-profile-as4 2.10 sentence 1; WSS SwA profile 1.1, 5.4). The
encrypted content is 12 bytes of initialisation vector, the ciphertext, and 16 bytes of tag (XML Encryption
1.1, 5.2.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import AEADDecryptionContext, Cipher, algorithms, modes

from samdrift.wire.crypto.xmldsig import SHA256, ds
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.wssec.keyreference import (
    KeyReference,
    only_child,
    read_key_reference,
)
from samdrift.wire.wssec.names import (
    AES_128_GCM,
    ATTACHMENT_CIPHERTEXT,
    COMPLETE,
    CONTENT_ONLY,
    MGF1_SHA256,
    RSA_OAEP,
    xenc,
)
from samdrift.wire.wssec.verifying import attachment_id
from samdrift.wire.xml import Element, Namespace, base64text, children, name, text

_MGF = name(Namespace.XENC11, "MGF")
_TOKEN_TYPE = name(Namespace.WSSE11, "TokenType")
KEY_SIZE: Final = 16
VECTOR_SIZE: Final = 12
TAG_SIZE: Final = 16


@dataclass(frozen=True, slots=True)
class EncryptedAttachment:
    """The header's description of the encrypted attachment."""

    content_id: str
    wrapped_key: bytes
    recipient: KeyReference
    with_headers: bool
    """True if the ciphertext includes the part's MIME header (``Attachment-Complete``)."""


def read_encryption(key: Element, data: Element, tokens: Mapping[str, Element]) -> EncryptedAttachment:
    """Read ``EncryptedKey`` and its ``EncryptedData``; raise :class:`WireError` if they are not accepted."""
    method, key_info, cipher, references = _parts(
        key, xenc("EncryptionMethod"), ds("KeyInfo"), xenc("CipherData"), xenc("ReferenceList")
    )
    _check_key_transport(method)
    reference = only_child(references, xenc("DataReference"))
    if reference.get("URI") != f"#{data.get('Id')}":
        raise _malformed("EncryptedKey is not for this EncryptedData")
    return EncryptedAttachment(
        content_id=_read_data(data),
        wrapped_key=base64text.decode(text(only_child(cipher, xenc("CipherValue"))), "CipherValue"),
        recipient=read_key_reference(key_info, tokens),
        with_headers=data.get("Type") == COMPLETE,
    )


def _read_data(data: Element) -> str:
    """Return the Content-ID of the encrypted attachment."""
    if data.get("Type") not in (CONTENT_ONLY, COMPLETE):
        raise _refused("Type")
    parts = [part for part in children(data) if part.tag != ds("KeyInfo")]
    if [part.tag for part in parts] != [xenc("EncryptionMethod"), xenc("CipherData")]:
        raise _malformed("EncryptedData")
    method, cipher = parts
    if method.get("Algorithm") != AES_128_GCM:
        raise _refused("EncryptionMethod")
    source = only_child(cipher, xenc("CipherReference"))
    transform = only_child(only_child(source, xenc("Transforms")), ds("Transform"))
    if transform.get("Algorithm") != ATTACHMENT_CIPHERTEXT:
        raise _refused("Transform")
    content_id = attachment_id(source.get("URI", ""))
    if not content_id:
        raise _malformed("CipherReference")
    return content_id


def _check_key_transport(method: Element) -> None:
    digest, mask = method.find(ds("DigestMethod")), method.find(_MGF)
    if (
        method.get("Algorithm") != RSA_OAEP
        or len(children(method)) != 2
        or digest is None
        or digest.get("Algorithm") != SHA256
        or mask is None
        or mask.get("Algorithm") != MGF1_SHA256
    ):
        raise _refused("EncryptedKey")


def _parts(element: Element, *tags: str) -> list[Element]:
    parts = children(element)
    if [part.tag for part in parts] != list(tags):
        raise _malformed("EncryptedKey")
    return parts


def _refused(where: str) -> WireError:
    return WireError(WireFault.ALGORITHM, "an encryption that the profile does not know", where)


def _malformed(where: str) -> WireError:
    return WireError(WireFault.STRUCTURE, "encryption is declared in a way that is not accepted", where)


class Encryptor:
    """An encryptor of one attachment. The same key and vector must never encrypt two different contents."""

    def __init__(self, key: bytes, vector: bytes) -> None:
        self._cipher = Cipher(algorithms.AES(key), modes.GCM(vector)).encryptor()

    def feed(self, content: bytes) -> bytes:
        """Return the ciphertext of the next piece; the caller writes the vector before the first one."""
        return self._cipher.update(content)

    def finish(self) -> bytes:
        """Return the authentication tag, after any remaining ciphertext."""
        return self._cipher.finalize() + self._cipher.tag


class Decryptor:
    """A decryptor of one attachment. Its output is not authentic until :meth:`finish` has returned.

    Every failure raises the same :class:`WireError` (``DECRYPTION``).
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise _failed()
        self._key = key
        self._held = b""
        self._cipher: AEADDecryptionContext | None = None

    def feed(self, data: bytes) -> bytes:
        """Return the plaintext of the next piece, except for the bytes that may be the tag."""
        held = self._held + data
        if self._cipher is None:
            if len(held) < VECTOR_SIZE + TAG_SIZE:
                self._held = held
                return b""
            self._cipher = Cipher(algorithms.AES(self._key), modes.GCM(held[:VECTOR_SIZE])).decryptor()
            held = held[VECTOR_SIZE:]
        self._held = held[-TAG_SIZE:]
        return self._cipher.update(memoryview(held)[:-TAG_SIZE])

    def finish(self) -> None:
        """End the input, and verify the tag over the whole content."""
        if self._cipher is None:
            raise _failed()
        try:
            self._cipher.finalize_with_tag(self._held)
        except InvalidTag:
            raise _failed() from None


def _failed() -> WireError:
    return WireError(WireFault.DECRYPTION, "cannot be decrypted")
