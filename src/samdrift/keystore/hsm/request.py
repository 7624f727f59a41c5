"""A certificate request (PKCS#10, RFC 2986) whose key signs elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from asn1crypto import csr, pem
from asn1crypto.algos import SignedDigestAlgorithm
from asn1crypto.keys import PublicKeyInfo
from asn1crypto.x509 import Name
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def certificate_request(
    subject: x509.Name, public: rsa.RSAPublicKey, sign: Callable[[bytes], bytes]
) -> bytes:
    """The request (PEM); ``sign`` is RSASSA-PKCS1-v1_5 with SHA-256 by the private key of ``public``."""
    info = csr.CertificationRequestInfo(
        {
            "version": "v1",
            "subject": Name.load(subject.public_bytes()),
            "subject_pk_info": PublicKeyInfo.load(
                public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            ),
            "attributes": [],
        }
    )
    request = csr.CertificationRequest(
        {
            "certification_request_info": info,
            "signature_algorithm": SignedDigestAlgorithm({"algorithm": "sha256_rsa"}),
            "signature": sign(info.dump()),
        }
    )
    return bytes(pem.armor("CERTIFICATE REQUEST", request.dump()))
