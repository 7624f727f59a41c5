"""WS-Security 1.1 as eDelivery AS4 uses it: signature and encryption of SOAP with one attachment.

These are separate steps that :mod:`samdrift.wire.as4` combines: read a document and its security
header, verify it, read the encryption parameters of the attachment, decrypt it; and build the same.
"""

from samdrift.wire.wssec.build import (
    CONTENT_TYPE,
    MEDIA_TYPE,
    Attachment,
    Part,
    build_body,
    build_encryption,
    build_envelope,
    build_signature,
    build_timestamp,
)
from samdrift.wire.wssec.encryption import (
    KEY_SIZE,
    TAG_SIZE,
    VECTOR_SIZE,
    Decryptor,
    EncryptedAttachment,
    Encryptor,
    read_encryption,
)
from samdrift.wire.wssec.keyreference import KeyReference
from samdrift.wire.wssec.references import SignedReference
from samdrift.wire.wssec.verifying import (
    SecurityHeader,
    SecurityTimestamp,
    SignerUnknown,
    SoapDocument,
    VerifiedSignature,
    attachment_id,
    read_document,
    read_timestamp,
    require_empty_body,
    verify,
)

__all__ = [
    "CONTENT_TYPE",
    "KEY_SIZE",
    "MEDIA_TYPE",
    "TAG_SIZE",
    "VECTOR_SIZE",
    "Attachment",
    "Decryptor",
    "EncryptedAttachment",
    "Encryptor",
    "KeyReference",
    "Part",
    "SecurityHeader",
    "SecurityTimestamp",
    "SignedReference",
    "SignerUnknown",
    "SoapDocument",
    "VerifiedSignature",
    "attachment_id",
    "build_body",
    "build_encryption",
    "build_envelope",
    "build_signature",
    "build_timestamp",
    "read_document",
    "read_encryption",
    "read_timestamp",
    "require_empty_body",
    "verify",
]
