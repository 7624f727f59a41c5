"""Limits on data read from a peer, so that the peer cannot determine our memory and time use."""

from __future__ import annotations

from dataclasses import dataclass

_KIB = 1 << 10
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class As4Limits:
    """Size limits in bytes, enforced while the message streams in, before anything is stored.

    ``max_payload_bytes`` exceeds the 100 MB that an access point must accept (transport-profile-as4 2.8 a),
    and a 100 MB message whose payload grew by encryption. ``max_ratio`` limits gzip's expansion ratio once it
    has produced more than ``ratio_free_bytes``.

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
