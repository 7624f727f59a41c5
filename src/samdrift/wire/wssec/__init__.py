"""WS-Security 1.1 as eDelivery AS4 uses it: signature and encryption of SOAP with one attachment.

Pure steps that :mod:`samdrift.wire.as4` puts in order: read a document and its security
header, verify, read how the attachment is encrypted, decrypt it; and the same built.
"""

from samdrift.wire.wssec.cipher import KEY_SIZE, TAG_SIZE, VECTOR_SIZE, Decryptor, Encryptor
from samdrift.wire.wssec.document import SecurityHeader, SoapDocument, read_document
from samdrift.wire.wssec.encryption import (
    EncryptedAttachment,
    EncryptionIds,
    append_encryption,
    read_encryption,
)
from samdrift.wire.wssec.envelope import CONTENT_TYPE, MEDIA_TYPE, envelope, new_body, new_security
from samdrift.wire.wssec.keyreference import KeyReference
from samdrift.wire.wssec.references import Proof, SignedReference, read_proof
from samdrift.wire.wssec.signature import Attachment, VerifiedSignature, attachment_id, sign, verify
from samdrift.wire.wssec.timestamp import SecurityTimestamp, build_timestamp, read_timestamp

__all__ = [
    "CONTENT_TYPE",
    "KEY_SIZE",
    "MEDIA_TYPE",
    "TAG_SIZE",
    "VECTOR_SIZE",
    "Attachment",
    "Decryptor",
    "EncryptedAttachment",
    "EncryptionIds",
    "Encryptor",
    "KeyReference",
    "Proof",
    "SecurityHeader",
    "SecurityTimestamp",
    "SignedReference",
    "SoapDocument",
    "VerifiedSignature",
    "append_encryption",
    "attachment_id",
    "build_timestamp",
    "envelope",
    "new_body",
    "new_security",
    "read_document",
    "read_encryption",
    "read_proof",
    "read_timestamp",
    "sign",
    "verify",
]
