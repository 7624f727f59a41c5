"""Service groups and service metadata to XML, as an SMP publishes them (SMP 1.0, 2.3).

The roles only read; an SMP of ours exists in the local federation alone. It is
written here so that both directions of a format live in one place.
"""

from __future__ import annotations

from datetime import UTC, datetime

from lxml import etree

from samdrift.wire.crypto.certificates import to_base64
from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier, ProcessIdentifier
from samdrift.wire.smp import certpub
from samdrift.wire.smp.types import Endpoint, ServiceGroup, ServiceMetadata
from samdrift.wire.xml import Element, Namespace, name

_Identifier = ParticipantIdentifier | DocumentIdentifier | ProcessIdentifier


def build_service_group(group: ServiceGroup) -> bytes:
    """The ServiceGroup as a document, UTF-8."""
    root = new_root("ServiceGroup")
    _identifier(root, "ParticipantIdentifier", group.participant)
    collection = _child(root, "ServiceMetadataReferenceCollection")
    for reference in group.references:
        _child(collection, "ServiceMetadataReference").set("href", reference)
    return serialised(root)


def append_metadata(root: Element, metadata: ServiceMetadata) -> None:
    """Append ``ServiceMetadata`` to ``root``."""
    information = _child(_child(root, "ServiceMetadata"), "ServiceInformation")
    _identifier(information, "ParticipantIdentifier", metadata.participant)
    _identifier(information, "DocumentIdentifier", metadata.document)
    process = _child(_child(information, "ProcessList"), "Process")
    _identifier(process, "ProcessIdentifier", metadata.process)
    endpoints = _child(process, "ServiceEndpointList")
    for endpoint in metadata.endpoints:
        _endpoint(endpoints, endpoint)
    certpub.write(information, metadata.certificates)


def new_root(local: str) -> Element:
    """A root element in the namespace of SMP 1.0, which is the default namespace of the document."""
    return etree.Element(name(Namespace.SMP1, local), nsmap={None: Namespace.SMP1})  # type: ignore[dict-item]


def serialised(root: Element) -> bytes:
    """The document as bytes, UTF-8."""
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _endpoint(parent: Element, endpoint: Endpoint) -> None:
    element = _child(parent, "Endpoint")
    element.set("transportProfile", endpoint.transport_profile)
    _child(element, "EndpointURI", endpoint.address)
    _child(element, "RequireBusinessLevelSignature", "false")
    if endpoint.activation is not None:
        _child(element, "ServiceActivationDate", _date_time(endpoint.activation))
    if endpoint.expiration is not None:
        _child(element, "ServiceExpirationDate", _date_time(endpoint.expiration))
    _child(element, "Certificate", to_base64(endpoint.certificate))
    _child(element, "ServiceDescription", endpoint.description)
    _child(element, "TechnicalContactUrl", endpoint.contact)


def _identifier(parent: Element, local: str, identifier: _Identifier) -> None:
    _child(parent, local, identifier.value).set("scheme", identifier.scheme)


def _child(parent: Element, local: str, text: str | None = None) -> Element:
    element = etree.SubElement(parent, name(Namespace.SMP1, local))
    element.text = text
    return element


def _date_time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
