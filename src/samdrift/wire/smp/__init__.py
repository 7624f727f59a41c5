"""Service metadata: SMP 1.0 with published certificates, to and from bytes."""

from samdrift.wire.smp.types import (
    Endpoint,
    MetadataVerdict,
    PublishedCertificates,
    ServiceGroup,
    ServiceMetadata,
)

__all__ = [
    "Endpoint",
    "MetadataVerdict",
    "PublishedCertificates",
    "ServiceGroup",
    "ServiceMetadata",
]
