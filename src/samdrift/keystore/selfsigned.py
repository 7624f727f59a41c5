"""Self-signed certificates, for keys in files and in HSMs: containers for a key that is handed to peers."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from asn1crypto import pem
from asn1crypto import x509 as asn1
from asn1crypto.algos import SignedDigestAlgorithm
from asn1crypto.keys import PublicKeyInfo
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_EARLIER = timedelta(minutes=5)
"""Time before now at which a certificate begins, for peers with slow clocks."""


def self_signed(
    subject: x509.Name,
    period: tuple[datetime, datetime],
    public: rsa.RSAPublicKey,
    sign: Callable[[bytes], bytes],
) -> bytes:
    """Return the certificate (PEM).

    ``sign`` is RSASSA-PKCS1-v1_5 with SHA-256 by the private key of ``public``.
    """
    algorithm = SignedDigestAlgorithm({"algorithm": "sha256_rsa"})
    name = asn1.Name.load(subject.public_bytes())
    begins, ends = (at.replace(microsecond=0) for at in (period[0] - _EARLIER, period[1]))
    content = asn1.TbsCertificate(
        {
            "version": "v3",
            "serial_number": secrets.randbits(127) | 1 << 126,
            "signature": algorithm,
            "issuer": name,
            "validity": {"not_before": asn1.Time("utc_time", begins), "not_after": _time(ends)},
            "subject": name,
            "subject_public_key_info": PublicKeyInfo.load(
                public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            ),
        }
    )
    certificate = asn1.Certificate(
        {
            "tbs_certificate": content,
            "signature_algorithm": algorithm,
            "signature_value": sign(content.dump()),
        }
    )
    return bytes(pem.armor("CERTIFICATE", certificate.dump()))


def _time(at: datetime) -> asn1.Time:
    return asn1.Time("utc_time" if at.year < 2050 else "general_time", at)
