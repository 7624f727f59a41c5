"""Service groups and service metadata: SMP 1.0 with published certificates (component-smp 3.8).

The format follows OASIS SMP 1.0 as far as DIGG's profile uses it: the profile has no redirection
(component-smp 2.11, 3.8). Nothing in signed metadata is read before its signature is verified; whether the
signer is trusted is judged elsewhere.

A participant's own certificates are in an extension of its metadata, as SMP 2 elements inside SMP 1, one
certificate in each (certpub-rest-binding 2.2). ``mimeCode`` has a fixed value in the text, which is written;
it is ignored when reading, because the content itself shows its format.

The roles only read metadata; we run an SMP only in the local federation. Both directions are here so that the
format is in one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import quote

from cryptography import x509
from lxml import etree

from samdrift.wire.crypto.certificates import from_base64, to_base64
from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.crypto.xmldsig import sign_enveloped, verify_enveloped
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.identifiers import (
    NO_PROCESS,
    DocumentIdentifier,
    ParticipantIdentifier,
    ProcessIdentifier,
)
from samdrift.wire.webaddress import web_address
from samdrift.wire.xml import SMALL, Element, Namespace, children, local_name, name, parse, path, text

EXTENSION = "urn:fdc:digg.se:edelivery:xml-extension:smp-certpub:1.0"
SIGNING = "urn:fdc:digg.se:edelivery:certpub:signing-cert"
ENCRYPTION = "urn:fdc:digg.se:edelivery:certpub:encryption-cert"
_EXTENSION_ID = name(Namespace.SMP1, "ExtensionID")
_CERTIFICATE = name(Namespace.SMP2_AGGREGATE, "Certificate")
_TYPE = name(Namespace.SMP2_BASIC, "TypeCode")
_CONTENT = name(Namespace.SMP2_BASIC, "ContentBinaryObject")
_Identifier = ParticipantIdentifier | DocumentIdentifier | ProcessIdentifier
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address and transport profile at which an access point receives (SMP 1.0, 2.3.4.3)."""

    transport_profile: str
    address: str
    """An absolute http or https URL."""
    certificate: x509.Certificate
    """The access point's certificate; its CN is the ``To`` party of AS4 (component-accesspoint 3.1.5 b)."""
    activation: datetime | None = None
    expiration: datetime | None = None
    """End of the time in which the endpoint receives; ``activation`` is its start. Both are in UTC."""
    description: str = ""
    contact: str = ""

    def active(self, at: datetime) -> bool:
        """Return whether the endpoint receives at ``at``."""
        if self.activation is not None and at < self.activation:
            return False
        return self.expiration is None or at < self.expiration


@dataclass(frozen=True, slots=True)
class PublishedCertificates:
    """A participant's own certificates (CertPub); either kind may be absent (component-certpub 2.8).

    Clauses: envelope-profile-xhe 3.3 A3.
    """

    signing: tuple[x509.Certificate, ...] = ()
    encryption: tuple[x509.Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceMetadata:
    """One service of a participant: its document and process identifiers, and its endpoints.

    ``signer`` is the SMP's certificate from the verified signature, and ``None`` in metadata that is yet to
    be signed.
    """

    participant: ParticipantIdentifier
    document: DocumentIdentifier
    process: ProcessIdentifier
    endpoints: tuple[Endpoint, ...]
    certificates: PublishedCertificates = PublishedCertificates()
    signer: x509.Certificate | None = None

    def receives(self, at: datetime) -> bool:
        """Return whether any access point receives for the participant at ``at``."""
        return any(endpoint.active(at) for endpoint in self.endpoints)

    def endpoint_for(self, profiles: Iterable[str], at: datetime) -> Endpoint | None:
        """Return the active endpoint for the first of ``profiles``, in order of preference, that has one."""
        for profile in profiles:
            for endpoint in self.endpoints:
                if endpoint.transport_profile == profile and endpoint.active(at):
                    return endpoint
        return None


@dataclass(frozen=True, slots=True)
class ServiceGroup:
    """A participant, and the addresses of the metadata of its services (SMP 1.0, 2.3.3)."""

    participant: ParticipantIdentifier
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MetadataVerdict:
    """Verdict on signed metadata; ``metadata`` and ``signer`` are set only if it is valid.

    Validity concerns the signature alone: the caller decides whether the signer may sign for the
    federation (transport-profile-as4 2.10 f, g).
    """

    valid: bool
    reason: str
    metadata: ServiceMetadata | None = None
    signer: x509.Certificate | None = None


def service_group_path(participant: ParticipantIdentifier) -> str:
    """Return the path ``/{scheme}::{identifier}`` below the SMP's address, percent-encoded."""
    return f"/{_encoded(participant.scheme, participant.value)}"


def service_metadata_path(participant: ParticipantIdentifier, document: DocumentIdentifier) -> str:
    """Return the path of service metadata below the SMP's address, percent-encoded.

    It is ``/{scheme}::{identifier}/services/{scheme}::{document}``.
    """
    return f"{service_group_path(participant)}/services/{_encoded(document.scheme, document.value)}"


def _encoded(scheme: str, value: str) -> str:
    return quote(f"{scheme}::{value}", safe="")


def build_signed_service_metadata(metadata: ServiceMetadata, signer: SigningKey) -> bytes:
    """Write the metadata as a SignedServiceMetadata document with the SMP's enveloped signature."""
    root = _new_root("SignedServiceMetadata")
    _append_metadata(root, metadata)
    sign_enveloped(root, signer)
    return serialised(root)


def verify_signed_service_metadata(data: bytes) -> MetadataVerdict:
    """Verify the signature of ``data`` and read its metadata.

    The signature is verified first; only then is anything read, and only from the document that it covers
    (SMP 1.0 3.6.2.2, certpub-rest-binding 3.1). Bad input never raises an error. The caller decides whether
    ``signer`` may sign metadata of the federation (transport-profile-as4 2.10 f).
    """
    try:
        root = parse(data, SMALL)
        metadata = _metadata_element(root)
        verdict = verify_enveloped(root)
        if not verdict.valid or verdict.certificate is None:
            return MetadataVerdict(False, verdict.reason)
        signer = verdict.certificate
        read = replace(_service_metadata(metadata), signer=signer)
    except WireError as error:
        return MetadataVerdict(False, str(error))
    return MetadataVerdict(True, "", read, signer)


def _metadata_element(root: Element) -> Element:
    """Return ``ServiceMetadata`` from ``root``, which must contain only that and one signature."""
    if root.tag != name(Namespace.SMP1, "SignedServiceMetadata"):
        raise WireError(WireFault.UNKNOWN_ROOT, "not SignedServiceMetadata", local_name(root))
    metadata = Sequence(root, Namespace.SMP1).one("ServiceMetadata")
    signatures = children(root)[1:]
    if [element.tag for element in signatures] != [name(Namespace.DSIG, "Signature")]:
        raise WireError(WireFault.SIGNATURE, "one signature must follow the metadata", local_name(root))
    return metadata


def _read_certificates(extensions: list[Element]) -> PublishedCertificates:
    """Return the certificates in ``extensions``; extensions for other purposes are ignored."""
    found: dict[str, list[x509.Certificate]] = {SIGNING: [], ENCRYPTION: []}
    for extension in extensions:
        identifier = extension.find(_EXTENSION_ID)
        if identifier is None or text(identifier).strip() != EXTENSION:
            continue
        for element in extension.findall(_CERTIFICATE):
            kind, content = element.find(_TYPE), element.find(_CONTENT)
            if kind is None or content is None:
                continue
            if (of_kind := found.get(text(kind).strip())) is not None:
                of_kind.append(from_base64(text(content), path(content)))
    return PublishedCertificates(tuple(found[SIGNING]), tuple(found[ENCRYPTION]))


def _append_certificates(parent: Element, certificates: PublishedCertificates) -> None:
    """Append one extension for each certificate to ``parent``."""
    for kind, of_kind in ((SIGNING, certificates.signing), (ENCRYPTION, certificates.encryption)):
        for certificate in of_kind:
            extension = etree.SubElement(parent, name(Namespace.SMP1, "Extension"))
            etree.SubElement(extension, _EXTENSION_ID).text = EXTENSION
            element = etree.SubElement(
                extension, _CERTIFICATE, nsmap={"smc": Namespace.SMP2_AGGREGATE, "smb": Namespace.SMP2_BASIC}
            )
            etree.SubElement(element, _TYPE).text = kind
            content = etree.SubElement(element, _CONTENT, mimeCode="application/base64")
            content.text = to_base64(certificate)


def build_service_group(group: ServiceGroup) -> bytes:
    """Write the ServiceGroup as a document in UTF-8."""
    root = _new_root("ServiceGroup")
    _identifier(root, "ParticipantIdentifier", group.participant)
    collection = _child(root, "ServiceMetadataReferenceCollection")
    for reference in group.references:
        _child(collection, "ServiceMetadataReference").set("href", reference)
    return serialised(root)


def _append_metadata(root: Element, metadata: ServiceMetadata) -> None:
    """Append ``ServiceMetadata`` to ``root``."""
    information = _child(_child(root, "ServiceMetadata"), "ServiceInformation")
    _identifier(information, "ParticipantIdentifier", metadata.participant)
    _identifier(information, "DocumentIdentifier", metadata.document)
    process = _child(_child(information, "ProcessList"), "Process")
    _identifier(process, "ProcessIdentifier", metadata.process)
    endpoints = _child(process, "ServiceEndpointList")
    for endpoint in metadata.endpoints:
        _append_endpoint(endpoints, endpoint)
    _append_certificates(information, metadata.certificates)


def _new_root(local: str) -> Element:
    """Create a root element, with the namespace of SMP 1.0 as the default namespace."""
    return etree.Element(name(Namespace.SMP1, local), nsmap={None: Namespace.SMP1})  # type: ignore[dict-item]


def serialised(root: Element) -> bytes:
    """Serialise the document in UTF-8."""
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _append_endpoint(parent: Element, endpoint: Endpoint) -> None:
    element = _child(parent, "Endpoint")
    element.set("transportProfile", endpoint.transport_profile)
    _child(element, "EndpointURI", endpoint.address)
    _child(element, "RequireBusinessLevelSignature", "false")
    if endpoint.activation is not None:
        _child(element, "ServiceActivationDate", _formatted(endpoint.activation))
    if endpoint.expiration is not None:
        _child(element, "ServiceExpirationDate", _formatted(endpoint.expiration))
    _child(element, "Certificate", to_base64(endpoint.certificate))
    _child(element, "ServiceDescription", endpoint.description)
    _child(element, "TechnicalContactUrl", endpoint.contact)


def _identifier(parent: Element, local: str, identifier: _Identifier) -> None:
    _child(parent, local, identifier.value).set("scheme", identifier.scheme)


def _child(parent: Element, local: str, text: str | None = None) -> Element:
    element = etree.SubElement(parent, name(Namespace.SMP1, local))
    element.text = text
    return element


def _formatted(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Sequence:
    """A reader of the child elements of ``parent``, in order.

    Every rejection is a :class:`WireError` that names the place, never the content.
    """

    def __init__(self, parent: Element, namespace: str) -> None:
        self._parent = parent
        self._namespace = namespace
        self._left = children(parent)

    def one(self, local: str) -> Element:
        """Return the next child, which must be ``local``."""
        found = self.maybe(local)
        if found is None:
            raise WireError(WireFault.STRUCTURE, f"{local} is missing", path(self._parent))
        return found

    def maybe(self, local: str) -> Element | None:
        """Return the next child if it is ``local``, otherwise ``None``."""
        if self._left and self._left[0].tag == f"{{{self._namespace}}}{local}":
            return self._left.pop(0)
        return None

    def many(self, local: str) -> list[Element]:
        """Return all consecutive children that are ``local``."""
        found = []
        while (child := self.maybe(local)) is not None:
            found.append(child)
        return found

    def end(self) -> None:
        """Require that no child is left."""
        if self._left:
            raise WireError(WireFault.STRUCTURE, "an element that does not belong here", path(self._left[0]))


def parse_service_group(data: bytes) -> ServiceGroup:
    """Read a ServiceGroup; raise :class:`WireError` if it is not one."""
    root = parse(data, SMALL)
    if root.tag != name(Namespace.SMP1, "ServiceGroup"):
        raise WireError(WireFault.UNKNOWN_ROOT, "not a ServiceGroup", local_name(root))
    group = _sequence(root)
    participant = _participant(group.one("ParticipantIdentifier"))
    collection = _sequence(group.one("ServiceMetadataReferenceCollection"))
    references = collection.many("ServiceMetadataReference")
    collection.end()
    group.many("Extension")
    group.end()
    return ServiceGroup(participant, tuple(reference.get("href", "") for reference in references))


def _service_metadata(element: Element) -> ServiceMetadata:
    """Read the ``ServiceMetadata`` element; raise :class:`WireError` if its structure is invalid.

    A redirection is rejected: it does not exist in the federation (component-smp 3.8), and following one
    would let an SMP send us to any address.

    Clauses: component-smp 3.8 sentence 1.
    """
    metadata = _sequence(element)
    information = _sequence(metadata.one("ServiceInformation"))
    metadata.end()
    participant = _participant(information.one("ParticipantIdentifier"))
    document = information.one("DocumentIdentifier")
    process, endpoints = _process(information.one("ProcessList"))
    extensions = information.many("Extension")
    information.end()
    return ServiceMetadata(
        participant,
        DocumentIdentifier(_value(document), _scheme(document)),
        process,
        endpoints,
        _read_certificates(extensions),
    )


def _process(process_list: Element) -> tuple[ProcessIdentifier, tuple[Endpoint, ...]]:
    """Return the only process, or among several the federation's (codes-common 1.2)."""
    sequence = _sequence(process_list)
    processes = [_one_process(element) for element in sequence.many("Process")]
    sequence.end()
    if len(processes) == 1:
        return processes[0]
    for identifier, endpoints in processes:
        if identifier == NO_PROCESS:
            return identifier, endpoints
    raise WireError(WireFault.STRUCTURE, "no process of the federation", path(process_list))


def _one_process(element: Element) -> tuple[ProcessIdentifier, tuple[Endpoint, ...]]:
    process = _sequence(element)
    identifier = process.one("ProcessIdentifier")
    endpoints = _sequence(process.one("ServiceEndpointList"))
    found = tuple(_endpoint(endpoint) for endpoint in endpoints.many("Endpoint"))
    endpoints.end()
    process.many("Extension")
    process.end()
    return ProcessIdentifier(_value(identifier), _scheme(identifier)), found


def _endpoint(element: Element) -> Endpoint:
    endpoint = _sequence(element)
    address = endpoint.one("EndpointURI")
    endpoint.maybe("RequireBusinessLevelSignature")
    endpoint.maybe("MinimumAuthenticationLevel")
    activation = endpoint.maybe("ServiceActivationDate")
    expiration = endpoint.maybe("ServiceExpirationDate")
    certificate = endpoint.one("Certificate")
    description = endpoint.one("ServiceDescription")
    contact = endpoint.one("TechnicalContactUrl")
    endpoint.maybe("TechnicalInformationUrl")
    endpoint.many("Extension")
    endpoint.end()
    return Endpoint(
        transport_profile=element.get("transportProfile", ""),
        address=web_address(_value(address), path(address)),
        certificate=from_base64(text(certificate), path(certificate)),
        activation=None if activation is None else _date_time(activation),
        expiration=None if expiration is None else _date_time(expiration),
        description=_value(description),
        contact=_value(contact),
    )


def _sequence(element: Element) -> Sequence:
    return Sequence(element, Namespace.SMP1)


def _participant(element: Element) -> ParticipantIdentifier:
    if _scheme(element) != ParticipantIdentifier.scheme:
        raise WireError(WireFault.IDENTIFIER, "another scheme of participants", path(element))
    return ParticipantIdentifier.parse(_value(element))


def _value(element: Element) -> str:
    """Return the text without the white space that pretty-printing SMPs put around it."""
    return text(element).strip()


def _scheme(element: Element) -> str:
    return element.get("scheme", "")


def _date_time(element: Element) -> datetime:
    """Parse ``xs:dateTime``; without a time zone it is in UTC."""
    value = _value(element)
    try:
        if not _DATE_TIME.fullmatch(value):
            raise ValueError
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise WireError(WireFault.STRUCTURE, "not a date and time", path(element)) from None
