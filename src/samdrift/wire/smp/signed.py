"""Signed service metadata: what an SMP answers with, and whether it can be used.

The signature is looked at first; only then is anything read, and only from the
document that the signature covers (SMP 1.0 3.6.2.2, certpub-rest-binding 3.1).
"""

from __future__ import annotations

from dataclasses import replace

from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.crypto.xmldsig import sign_enveloped, verify_enveloped
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.smp.build import append_metadata, new_root, serialised
from samdrift.wire.smp.parse import service_metadata
from samdrift.wire.smp.sequence import Sequence
from samdrift.wire.smp.types import MetadataVerdict, ServiceMetadata
from samdrift.wire.xml import SMALL, Element, Namespace, children, local_name, name, parse


def build_signed_service_metadata(metadata: ServiceMetadata, signer: SigningKey) -> bytes:
    """The metadata as a SignedServiceMetadata document with the SMP's enveloped signature."""
    root = new_root("SignedServiceMetadata")
    append_metadata(root, metadata)
    sign_enveloped(root, signer)
    return serialised(root)


def verify_signed_service_metadata(data: bytes) -> MetadataVerdict:
    """Verify the signature of ``data`` and read what it says.

    Never raises on bad input. Whether ``signer`` may sign metadata of the
    federation is not decided here (transport-profile-as4 2.10 f).
    """
    try:
        root = parse(data, SMALL)
        metadata = _metadata_element(root)
        verdict = verify_enveloped(root)
        if not verdict.valid or verdict.certificate is None:
            return MetadataVerdict(False, verdict.reason)
        signer = verdict.certificate
        read = replace(service_metadata(metadata), signer=signer)
    except WireError as error:
        return MetadataVerdict(False, str(error))
    return MetadataVerdict(True, "", read, signer)


def _metadata_element(root: Element) -> Element:
    """``ServiceMetadata``, when ``root`` holds it and a signature and nothing else."""
    if root.tag != name(Namespace.SMP1, "SignedServiceMetadata"):
        raise WireError(WireFault.UNKNOWN_ROOT, "not SignedServiceMetadata", local_name(root))
    metadata = Sequence(root, Namespace.SMP1).one("ServiceMetadata")
    signatures = children(root)[1:]
    if [element.tag for element in signatures] != [name(Namespace.DSIG, "Signature")]:
        raise WireError(WireFault.SIGNATURE, "one signature must follow the metadata", local_name(root))
    return metadata
