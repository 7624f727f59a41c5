"""Names from WS-Security 1.1 and its SwA and X.509 token profiles."""

from __future__ import annotations

from functools import cache
from typing import Final

from samdrift.wire.xml import Namespace, name

_OASIS = "http://docs.oasis-open.org/wss"
_TOKEN_PROFILE = f"{_OASIS}/2004/01/oasis-200401-wss-x509-token-profile-1.0"
_SECURITY_1_1 = f"{_OASIS}/oasis-wss-soap-message-security-1.1"
_SWA = f"{_OASIS}/oasis-wss-SwAProfile-1.1"

BASE64_BINARY: Final = f"{_OASIS}/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
X509_V3: Final = f"{_TOKEN_PROFILE}#X509v3"
SUBJECT_KEY_IDENTIFIER: Final = f"{_TOKEN_PROFILE}#X509SubjectKeyIdentifier"
THUMBPRINT: Final = f"{_SECURITY_1_1}#ThumbprintSHA1"
ENCRYPTED_KEY_TOKEN: Final = f"{_SECURITY_1_1}#EncryptedKey"

ATTACHMENT_SIGNATURE: Final = f"{_SWA}#Attachment-Content-Signature-Transform"
ATTACHMENT_CIPHERTEXT: Final = f"{_SWA}#Attachment-Ciphertext-Transform"
CONTENT_ONLY: Final = f"{_SWA}#Attachment-Content-Only"
COMPLETE: Final = f"{_SWA}#Attachment-Complete"

RSA_OAEP: Final = f"{Namespace.XENC11}rsa-oaep"
MGF1_SHA256: Final = f"{Namespace.XENC11}mgf1sha256"
AES_128_GCM: Final = f"{Namespace.XENC11}aes128-gcm"

WSU_ID: Final = name(Namespace.WSU, "Id")
MUST_UNDERSTAND: Final = name(Namespace.SOAP12, "mustUnderstand")


@cache
def soap(local: str) -> str:
    return name(Namespace.SOAP12, local)


@cache
def wsse(local: str) -> str:
    return name(Namespace.WSSE, local)


@cache
def wsu(local: str) -> str:
    return name(Namespace.WSU, local)


@cache
def xenc(local: str) -> str:
    return name(Namespace.XENC, local)
