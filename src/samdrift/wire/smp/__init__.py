"""Service metadata: SMP 1.0 with published certificates, to and from bytes (component-smp 3.8)."""

from samdrift.wire.smp.build import build_service_group
from samdrift.wire.smp.parse import (
    build_signed_service_metadata,
    parse_service_group,
    verify_signed_service_metadata,
)
from samdrift.wire.smp.types import (
    Endpoint,
    MetadataVerdict,
    PublishedCertificates,
    ServiceGroup,
    ServiceMetadata,
    service_group_path,
    service_metadata_path,
)

__all__ = [
    "Endpoint",
    "MetadataVerdict",
    "PublishedCertificates",
    "ServiceGroup",
    "ServiceMetadata",
    "build_service_group",
    "build_signed_service_metadata",
    "parse_service_group",
    "service_group_path",
    "service_metadata_path",
    "verify_signed_service_metadata",
]
