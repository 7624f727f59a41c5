"""The data that an organisation submits to have its certificates published (component-certpub 2.7.1).

Certificate publishing has no interface for registrations (component-certpub 2.9): an administrator of the
federation enters the data that the organisation has handed over securely, and must verify its origin. There
is therefore a file with the certificates, and a text in Swedish to print and sign, with fingerprints that two
people compare over the telephone.

A signing certificate with a later start date is published in addition to the current one: peers accept a
signature by either (certpub-rest-binding 2.2). Only the newest encryption certificate is published, since a
sender uses only one, and its key can already decrypt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.config.errors import printable
from samdrift.keystore.interface import HeldKey
from samdrift.keystore.keyfiles import KeyName
from samdrift.trust.keycertificate import Owner
from samdrift.wire import smp
from samdrift.wire.crypto.certificates import fingerprint, issuer, subject
from samdrift.wire.identifiers import (
    NO_PROCESS,
    PARTICIPANT_SCHEME,
    RECEIPT_BASE,
    RECEIPT_EXTENDED,
    SDK_MESSAGE_BASE,
    SDK_MESSAGE_EXTENDED,
    DocumentIdentifier,
)

_TYPES = {KeyName.SIGNING: smp.SIGNING, KeyName.ENCRYPTION: smp.ENCRYPTION}
_SWEDISH = {KeyName.SIGNING: "Signeringscertifikat", KeyName.ENCRYPTION: "Krypteringscertifikat"}
_DAY = "%Y-%m-%d"


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A certificate to publish, with the time of its first use if that lies ahead."""

    name: KeyName
    certificate: x509.Certificate
    active_from: datetime | None


@dataclass(frozen=True, slots=True)
class Publication:
    """Everything that is submitted to have an organisation's certificates published."""

    federation: str
    owner: Owner
    documents: Sequence[DocumentIdentifier]
    keys: Sequence[PublishedKey]
    at: datetime


def documents(base_model: bool) -> tuple[DocumentIdentifier, ...]:
    """Return the types of messages that the certificates are published under (certpub-rest-binding 3)."""
    extended = (SDK_MESSAGE_EXTENDED, RECEIPT_EXTENDED)
    return (*extended, SDK_MESSAGE_BASE, RECEIPT_BASE) if base_model else extended


def to_publish(held: Iterable[HeldKey], now: datetime) -> tuple[PublishedKey, ...]:
    """Return the keys whose certificates are to be published now."""
    found = sorted(
        (key for key in held if key.name in _TYPES and key.certificate and not key.state.revoked),
        key=lambda key: key.number,
        reverse=True,
    )
    signing = [key for key in found if key.name is KeyName.SIGNING]
    in_use = [key for key in signing if key.state.in_use(now)][:1]
    planned = [key for key in signing if key.state.planned(now)]
    encryption = [key for key in found if key.name is KeyName.ENCRYPTION][:1]
    return tuple(
        PublishedKey(key.name, key.certificate, key.state.active_from if key.state.planned(now) else None)
        for key in (*in_use, *planned, *encryption)
        if key.certificate is not None
    )


def document(publication: Publication) -> dict[str, Any]:
    """Return the publication as a JSON document."""
    owner = publication.owner
    return {
        "format": "samdrift-publication-1",
        "at": publication.at.isoformat(timespec="seconds"),
        "federation": publication.federation,
        "participant": {"scheme": PARTICIPANT_SCHEME, "identifier": owner.identifier},
        "organisation": {"name": owner.name, "number": owner.number or None},
        "services": [
            {
                "document": {"scheme": one.scheme, "identifier": one.value},
                "process": {"scheme": NO_PROCESS.scheme, "identifier": NO_PROCESS.value},
            }
            for one in publication.documents
        ],
        "certificates": [_certificate(key) for key in publication.keys],
    }


def swedish(publication: Publication) -> str:
    """Return the publication as a text to print, compare and sign."""
    return "\n".join(map(printable, _lines(publication))) + "\n"


def _certificate(key: PublishedKey) -> dict[str, Any]:
    one = key.certificate
    return {
        "type": _TYPES[key.name],
        "use": key.name.value,
        "used_from": key.active_from.isoformat() if key.active_from is not None else None,
        "subject": subject(one),
        "issuer": issuer(one),
        "serial": f"{one.serial_number:x}",
        "valid_from": one.not_valid_before_utc.isoformat(),
        "valid_until": one.not_valid_after_utc.isoformat(),
        "sha256": fingerprint(one),
        "pem": one.public_bytes(Encoding.PEM).decode(),
    }


def _lines(publication: Publication) -> Iterator[str]:
    owner = publication.owner
    number = f" ({owner.number})" if owner.number else ""
    yield "UPPGIFTER FÖR CERTIFIKATSPUBLICERING (CERTPUB)"
    yield ""
    yield f"Datum:                  {publication.at:{_DAY}}"
    yield f"Federation:             {publication.federation}"
    yield f"Deltagarorganisation:   {owner.name}{number}"
    yield f"Deltagaridentifierare:  {PARTICIPANT_SCHEME}::{owner.identifier}"
    yield ""
    yield "Certifikaten nedan är organisationens fullständiga uppsättning. De ersätter alla publicerade."
    yield "De publiceras för dessa meddelandetyper:"
    for one in publication.documents:
        yield f"  {one.scheme}::{one.value}"
    yield f"  process {NO_PROCESS.scheme}::{NO_PROCESS.value}"
    for key in publication.keys:
        yield ""
        yield from _about(key)
    yield ""
    yield "Fingeravtrycken jämförs tecken för tecken, per telefon på ett nummer som var känt sedan tidigare,"
    yield "innan certifikaten publiceras."
    yield ""
    yield "För deltagarorganisationen"
    for label in ("Underskrift", "Namnförtydligande", "Telefon", "Jämfört den, av"):
        yield ""
        yield f"{label + ':':<20}{'_' * 50}"


def _about(key: PublishedKey) -> Iterator[str]:
    one = key.certificate
    yield f"{_SWEDISH[key.name]}  {_TYPES[key.name]}"
    yield f"  Utfärdat till:  {subject(one)}"
    yield f"  Utfärdat av:    {issuer(one)}"
    yield f"  Serienummer:    {one.serial_number:x}"
    yield f"  Giltigt:        {one.not_valid_before_utc:{_DAY}} till {one.not_valid_after_utc:{_DAY}}"
    if key.active_from is not None:
        yield f"  Används från:   {key.active_from:%Y-%m-%d %H:%M} UTC"
    first, second = _grouped(fingerprint(one))
    yield f"  SHA-256:        {first}"
    yield f"                  {second}"


def _grouped(digest: str) -> tuple[str, str]:
    """Return a digest as two lines of eight groups of four, to be read aloud."""
    groups = [digest[at : at + 4].upper() for at in range(0, len(digest), 4)]
    return " ".join(groups[:8]), " ".join(groups[8:])
