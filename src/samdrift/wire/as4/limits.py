"""Bounds on what is read from a peer, so that memory and time do not depend on it."""

from __future__ import annotations

from dataclasses import dataclass

_KIB = 1 << 10
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class As4Limits:
    """Sizes in bytes; they hold while the message streams in, before anything is kept.

    ``max_payload_bytes`` is over the 100 MB that an access point must take
    (transport-profile-as4 2.8 a) and over a 100 MB message whose payload grew in encryption.
    ``max_ratio`` bounds how much gzip may expand once more than ``ratio_free_bytes`` came out.

    Clauses: accesspoint-test-cases 6.2.3 TF-08; transport-profile-as4 2.8 A4.
    """

    max_soap_bytes: int = 256 * _KIB
    max_preamble_bytes: int = 4 * _KIB
    max_part_header_bytes: int = 8 * _KIB
    max_compressed_bytes: int = 160 * _MIB
    max_payload_bytes: int = 160 * _MIB
    max_ratio: int = 200
    ratio_free_bytes: int = 8 * _MIB


DEFAULT_LIMITS = As4Limits()
