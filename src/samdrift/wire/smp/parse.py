"""Service groups and service metadata from XML (SMP 1.0, 2.3)."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

from samdrift.wire.crypto.certificates import from_base64
from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.crypto.xmldsig import sign_enveloped, verify_enveloped
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.identifiers import (
    NO_PROCESS,
    DocumentIdentifier,
    ParticipantIdentifier,
    ProcessIdentifier,
)
from samdrift.wire.smp import certpub
from samdrift.wire.smp.build import append_metadata, new_root, serialised
from samdrift.wire.smp.types import Endpoint, MetadataVerdict, ServiceGroup, ServiceMetadata
from samdrift.wire.webaddress import web_address
from samdrift.wire.xml import SMALL, Element, Namespace, children, local_name, name, parse, path, text


class Sequence:
    """The child elements of ``parent``, taken from the front.

    Every refusal is a :class:`WireError` that names the place, never the content.
    """

    def __init__(self, parent: Element, namespace: str) -> None:
        self._parent = parent
        self._namespace = namespace
        self._left = children(parent)

    def one(self, local: str) -> Element:
        """The next child, which must be ``local``."""
        found = self.maybe(local)
        if found is None:
            raise WireError(WireFault.STRUCTURE, f"{local} is missing", path(self._parent))
        return found

    def maybe(self, local: str) -> Element | None:
        """The next child when it is ``local``."""
        if self._left and self._left[0].tag == f"{{{self._namespace}}}{local}":
            return self._left.pop(0)
        return None

    def many(self, local: str) -> list[Element]:
        """All next children that are ``local``."""
        found = []
        while (child := self.maybe(local)) is not None:
            found.append(child)
        return found

    def end(self) -> None:
        """Nothing may be left."""
        if self._left:
            raise WireError(WireFault.STRUCTURE, "an element that does not belong here", path(self._left[0]))


_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)?", re.ASCII)


def parse_service_group(data: bytes) -> ServiceGroup:
    """Read a ServiceGroup; :class:`WireError` when it is none."""
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


def service_metadata(element: Element) -> ServiceMetadata:
    """Read the ``ServiceMetadata`` element; :class:`WireError` when its structure is broken.

    A redirection is refused: it does not exist in the federation (component-smp
    3.8), and following one would let an SMP send us anywhere.

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
        certpub.read(extensions),
    )


def _process(process_list: Element) -> tuple[ProcessIdentifier, tuple[Endpoint, ...]]:
    """The only process, or among several that of the federation (codes-common 1.2)."""
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
    """The text; SMPs that print it prettily put white space around."""
    return text(element).strip()


def _scheme(element: Element) -> str:
    return element.get("scheme", "")


def _date_time(element: Element) -> datetime:
    """``xs:dateTime``; without time zone it is taken as UTC."""
    value = _value(element)
    try:
        if not _DATE_TIME.fullmatch(value):
            raise ValueError
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise WireError(WireFault.STRUCTURE, "not a date and time", path(element)) from None


def build_signed_service_metadata(metadata: ServiceMetadata, signer: SigningKey) -> bytes:
    """The metadata as a SignedServiceMetadata document with the SMP's enveloped signature."""
    root = new_root("SignedServiceMetadata")
    append_metadata(root, metadata)
    sign_enveloped(root, signer)
    return serialised(root)


def verify_signed_service_metadata(data: bytes) -> MetadataVerdict:
    """Verify the signature of ``data`` and read what it says.

    The signature is verified first; only then is anything read, and only from the
    document that it covers (SMP 1.0 3.6.2.2, certpub-rest-binding 3.1).
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
