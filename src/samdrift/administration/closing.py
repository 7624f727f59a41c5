"""Closing of an organisation: after a decision, everything is destroyed and a certificate is signed.

The requirement is architecture-sad 4.3.2. Each step can be repeated. Nothing is lost before the closing is
recorded, and an interruption until then leaves a suspended organisation. After that the organisation's vaults
no longer open, and running the same command again after a crash continues where it stopped, until the
certificate exists.

The certificate of destruction is one JSON document for programs, which includes the same in Swedish for
people, under one signature of the operator. It describes what was destroyed by counts, fingerprints and the
head of the log, and repeats no content of the log. The logs of transfers are kept for a year
(:mod:`samdrift.administration.keptlogs`).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509

from samdrift.accesspoint import ending as ap
from samdrift.administration import keptlogs
from samdrift.administration.administration import Administration
from samdrift.administration.dualcontrol import Matter, Persons, two_persons
from samdrift.administration.events import AdminEvent
from samdrift.administration.keyholder import HeldKeys, held_keys, sha256
from samdrift.attestation import signatures
from samdrift.attestation.signatures import canonical
from samdrift.audit.entries import Happening
from samdrift.config.errors import Unusable
from samdrift.contracts import workers
from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Purpose, Role
from samdrift.keystore.interface import OPERATOR_KEYS
from samdrift.keystore.keyfiles import KeyName, KeyStoreError
from samdrift.messageservice.lifecycle import ledger as mt
from samdrift.vault.closing import Closing, Stock
from samdrift.vault.gate import Gate
from samdrift.vault.registry import RegistrationState
from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.identifiers import ParticipantIdentifier

_PAGE = 1000
"""Number of entries of the operator's log that are read at a time."""

FORM = "samdrift certificate of destruction 1"
_ROLES = {"ap": "accesspunkt", "mt": "meddelandetjänst", "mk": "meddelandeklient", "gov": "styrning"}

Facts = Mapping[str, Any]
"""Decision and inventory, recorded before anything is destroyed."""

REMAINS = (
    "this certificate, and identifier, time and decision in the operator's register and log",
    "backups of database, object store and key store from before, which no key opens any more",
    "what other organisations have received, which is theirs",
)

_REMAINS_IN_SWEDISH = (
    "Detta intyg, samt identifierare, tidpunkt och beslut i driftleverantörens register och logg.",
    "Tidigare säkerhetskopior av databas, objektlager och nyckellager, som ingen nyckel längre öppnar.",
    "Det som andra organisationer har tagit emot och som är deras.",
)

_ENDINGS: Mapping[Role, Callable[[Any, str, datetime], Awaitable[int]]] = {
    Role.ACCESS_POINT: ap.end_some,
    Role.MESSAGE_SERVICE: mt.end_some,
}
"""Functions that end a batch of work in progress, for the roles that may have some."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order to close an organisation: the decision behind it, and the losses that it accepts."""

    organisation: ParticipantIdentifier
    decision: str
    also_unfinished: bool = False
    without_export: bool = False
    also_not_handed_over: bool = False

    @property
    def matter(self) -> Matter:
        """Return the exact text that two people agree to."""
        losing = [
            text
            for accepted, text in (
                (self.also_unfinished, "what is under way"),
                (self.without_export, "a log that was not exported"),
                (self.also_not_handed_over, "public records that were not handed over"),
            )
            if accepted
        ]
        also = f", also {' and '.join(losing)}" if losing else ""
        everything = f"destroy everything of {self.organisation}: keys, messages and log{also}"
        kept = "its logs of transfers are kept for a year, outside its vaults"
        text = f"{everything}; decided {self.decision}; {kept}"
        return Matter("org close", self.organisation.value, text)


async def close(installation: Administration, order: Order, persons: Persons | None, clock: Clock) -> bytes:
    """Close an organisation, or continue its closing; return the certificate of destruction.

    For a closed one the existing certificate is returned. Raises :class:`Unusable` with the obstacle, or
    ``CustodyError`` if another person must approve.
    """
    closings = installation.provisioner.closings
    key = _operators_key(installation)
    closing = await closings.last(order.organisation)
    if closing is None or closing.certificate is not None:
        stock = await closings.stock(order.organisation)
        if closing is not None and closing.certificate is not None and not stock:
            return closing.certificate
        closing = await _begin(installation, order, stock, persons, clock)
    return await _destroy(installation, closing, key, clock)


async def _begin(
    installation: Administration,
    order: Order,
    stock: Sequence[Stock],
    persons: Persons | None,
    clock: Clock,
) -> Closing:
    """Do everything up to the point of no return, which is the record of the closing."""
    _require_closable(installation, order, stock)
    if persons is None:
        raise Unusable("closing needs two people: name them by --by and --with")
    agreed = await two_persons(installation, order.matter, persons)
    by = (agreed.first, agreed.second)
    if order.also_unfinished:
        await _end_unfinished(installation, order, stock, clock)
        stock = await installation.provisioner.closings.stock(order.organisation)
    now = clock()
    backups = await made_backups(installation.gate, order.organisation)
    kept = await keptlogs.keep(installation, order.organisation, stock, by, order.decision, now)
    facts = canonical(_facts(installation, order, stock, by, backups, kept, now))
    happening = Happening(
        now,
        AdminEvent.ORGANISATION_CLOSING,
        f"operator:{agreed.first}",
        Purpose.CLOSE,
        {"organisation": order.organisation.value, "decision": order.decision, "with": agreed.second},
    )
    await installation.provisioner.begin_closing(order.organisation, facts, happening)
    begun = await installation.provisioner.closings.last(order.organisation)
    assert begun is not None
    return begun


def _require_closable(installation: Administration, order: Order, stock: Sequence[Stock]) -> None:
    """Raise :class:`Unusable` if something must be done first, and name it."""
    organisation = order.organisation
    if not stock:
        raise Unusable(f"{organisation} has no vault here")
    if any(one.state is RegistrationState.ACTIVE for one in stock):
        raise Unusable(f"{organisation} is not suspended: first samdrift org suspend {organisation}")
    parts = _open_parts(installation, organisation)
    if parts:
        raise Unusable(f"{organisation} has under-organisations here; close them first: {', '.join(parts)}")
    if not order.without_export and not all(one.exported for one in stock):
        raise Unusable(
            f"the log was not exported since {organisation} was suspended: first samdrift org export"
            f" {organisation}, or --without-export when the decision says so"
        )
    kept = _counted({one.role: one.not_handed_over for one in stock})
    if kept and not order.also_not_handed_over:
        raise Unusable(
            f"{organisation} has public records here that were not handed over ({kept}): resume it until"
            " that is done, or --also-not-handed-over when the decision says that they are to be destroyed"
        )
    under_way = _counted({one.role: one.under_way for one in stock})
    if under_way and not order.also_unfinished:
        raise Unusable(
            f"{organisation} has something under way ({under_way}): resume it until that is done,"
            " or --also-unfinished to end it, each with its reason"
        )


def _counted(numbers: Mapping[Role, int]) -> str:
    """Return the number in each role that has any; empty if none has."""
    return ", ".join(f"{number} in role {role.value}" for role, number in numbers.items() if number)


def _open_parts(installation: Administration, organisation: ParticipantIdentifier) -> list[str]:
    """Return the organisation's under-organisations that have vaults here."""
    hosted = {one.organisation for one in installation.gate.registry.all()}
    return [
        one.identifier.value
        for one in installation.config.organisations
        if one.part_of == organisation and one.identifier in hosted
    ]


async def _end_unfinished(
    installation: Administration, order: Order, stock: Sequence[Stock], clock: Clock
) -> None:
    """End work in progress, so that every message has a status and a reason.

    A locked vault is skipped: its messages cannot be read, and an officer who has forgotten the
    passphrase cannot prevent the destruction.
    """
    why = f"the organisation was closed here, decided {order.decision}"
    able = [one for one in stock if one.role in _ENDINGS and not installation.keys.locked(one.vault)]
    for role in (one.role for one in able):
        ended = True
        while ended:
            async with installation.gate.open(
                workers.CLOSING, order.organisation, role, Purpose.CLOSE
            ) as vault:
                ended = bool(await _ENDINGS[role](vault, why, clock()))


def _facts(
    installation: Administration,
    order: Order,
    stock: Sequence[Stock],
    by: tuple[str, str],
    backups: Sequence[dict[str, Any]],
    kept: Sequence[dict[str, Any]],
    now: datetime,
) -> dict[str, Any]:
    """Return the content of the certificate, which names no message that was sent or received."""
    config = installation.config
    held = {one.role: held_keys(installation.keys, one.vault) for one in stock}
    return {
        "organisation": order.organisation.value,
        "operator": config.access_point.party if config.access_point else config.federation.identifier,
        "federation": config.federation.identifier,
        "environment": config.environment.value,
        "decision": order.decision,
        "approved_by": list(by),
        "begun_at": now.isoformat(timespec="seconds"),
        "log_exported": all(one.exported for one in stock),
        "vaults": [_vault_facts(one, held[one.role]) for one in stock],
        "unfinished": [_ended_facts(one.role, happening) for one in stock for happening in one.ended],
        "key_backups": list(backups),
        "logs_kept": list(kept),
    }


def _vault_facts(stock: Stock, held: HeldKeys) -> dict[str, Any]:
    return {
        "role": stock.role.value,
        "vault": stock.vault,
        "records": stock.records,
        "not_handed_over": stock.not_handed_over,
        "bodies": stock.bodies,
        "log": {"length": stock.log_length, "head": stock.log_hash.hex()},
        "keys": [{"key": one.name.value, "number": one.number, "sha256": sha256(one)} for one in held.keys],
        "keys_not_named": held.problem,
    }


def _ended_facts(role: Role, ended: Happening) -> dict[str, str]:
    ids = ended.ids
    return {
        "role": role.value,
        "what": ids["what"],
        "id": ids.get("message") or ids.get("envelope", ""),
        "status": ids["status"],
        "reason": ids["reason"],
    }


async def _destroy(installation: Administration, closing: Closing, key: SigningKey, clock: Clock) -> bytes:
    """Destroy everything that is left, beginning with the keys of every vault, and sign the certificate.

    Nothing is read in the vaults, since an interrupted closing may have dropped one that is still registered.
    """
    provisioner, organisation = installation.provisioner, closing.organisation
    left = [one for one in await provisioner.registrations() if one.organisation == organisation]
    for one in left:
        installation.keys.destroy(one.vault)
    for one in left:
        await provisioner.drop(organisation, one.role)
    facts, now = json.loads(closing.facts), clock()
    signed = certificate(facts, now, key)
    happening = Happening(
        now,
        AdminEvent.ORGANISATION_CLOSED,
        "platform",
        Purpose.CLOSE,
        {"organisation": organisation.value, "decision": facts["decision"]},
    )
    await provisioner.closings.end(closing, signed, happening)
    done = await provisioner.closings.last(organisation)
    assert done is not None
    assert done.certificate is not None
    return done.certificate


def _operators_key(installation: Administration) -> SigningKey:
    """Return the operator's signing key: that of its access point, or else of its TLS server."""
    for name in (KeyName.ACCESS_POINT, KeyName.TLS_SERVER):
        try:
            return installation.keys.signing_key(OPERATOR_KEYS, name)
        except KeyStoreError:
            continue
    raise Unusable("the operator has no certificate to sign with: samdrift keys request access-point")


async def made_backups(gate: Gate, organisation: ParticipantIdentifier) -> list[dict[str, Any]]:
    """Return number, time and custodians of each key backup, the earliest first, from the operator's log.

    The organisation's own log is not used, since a vault that waits for its officer does not open.
    """
    found: list[dict[str, Any]] = []
    after = 0
    while entries := await gate.read_operator_log(after, _PAGE):
        after = entries[-1].sequence
        found += [
            {
                "number": entry.ids["backup"],
                "at": entry.at.isoformat(timespec="seconds"),
                "held_by": [entry.ids["first"], entry.ids["second"]],
            }
            for entry in entries
            if entry.event == AdminEvent.KEYS_BACKED_UP and entry.ids["organisation"] == organisation.value
        ]
    return found


def closed_vaults(closings: Iterable[Closing]) -> frozenset[str]:
    """Return the ids of vaults that were destroyed, or are being destroyed, with their organisations."""
    return frozenset(vault["vault"] for closing in closings for vault in json.loads(closing.facts)["vaults"])


@dataclass(frozen=True, slots=True)
class DestructionVerdict:
    """Verdict on a certificate; all fields but the reason are set only if its signature is valid."""

    valid: bool
    reason: str
    facts: Facts | None = None
    text: str = ""
    signer: x509.Certificate | None = None
    ended_at: datetime | None = None


def certificate(facts: Facts, ended_at: datetime, key: SigningKey) -> bytes:
    """Return the signed certificate that everything named in ``facts`` is destroyed by ``ended_at``."""
    stated = {
        **facts,
        "form": FORM,
        "ended_at": ended_at.isoformat(timespec="seconds"),
        "remains": list(REMAINS),
    }
    signed = {"certificate": stated, "text": _in_swedish(stated)}
    document = {**signed, "signature": signatures.signed(signed, key)}
    return json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"


def verify(data: bytes) -> DestructionVerdict:
    """Verify the signature of a certificate of destruction.

    The caller must decide whether its signer is to be trusted.
    """
    try:
        document = json.loads(data)
        facts, text = document["certificate"], document["text"]
        if facts["form"] != FORM or not isinstance(text, str):
            raise ValueError
        ended_at = signatures.time_of(facts["ended_at"])
        signer = signatures.signer({"certificate": facts, "text": text}, document["signature"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return DestructionVerdict(False, "is not a certificate of destruction")
    if signer is None:
        return DestructionVerdict(False, "the signature does not hold: it was changed after it was signed")
    return DestructionVerdict(True, "the signature holds", facts, text, signer, ended_at)


def _in_swedish(stated: Facts) -> str:
    """Return the certificate as a Swedish text, which municipalities keep with the decision."""
    persons = " och ".join(stated["approved_by"])
    lines = [
        "DESTRUKTIONSINTYG",
        "",
        f"Organisation: {stated['organisation']}",
        f"Driftleverantör: {stated['operator']}",
        f"Beslut: {stated['decision']}",
        f"Godkänt av: {persons}",
        f"Påbörjat: {stated['begun_at']}",
        f"Slutfört: {stated['ended_at']}",
        "",
        "Driftleverantören intygar att allt som organisationen hade här är förstört:",
    ]
    for vault in stated["vaults"]:
        lines += ["", *_vault_in_swedish(vault)]
    lines += ["", _export_in_swedish(stated["log_exported"])]
    if unfinished := stated["unfinished"]:
        lines += ["", f"Avslutat utan att ha blivit klart: {len(unfinished)}", *map(_unfinished, unfinished)]
    if backups := stated["key_backups"]:
        lines += ["", f"Krypterade nyckelkopior som nyckelförvaltare har och ska förstöra: {len(backups)}"]
        lines += [
            f"  {backup['number']}, {backup['at']}: {', '.join(backup['held_by'])}" for backup in backups
        ]
    lines += ["", "Kvar finns:", *(f"  {each}" for each in _REMAINS_IN_SWEDISH)]
    lines += [_kept_in_swedish(one) for one in stated.get("logs_kept", ())]
    return "\n".join(lines) + "\n"


def _vault_in_swedish(vault: Facts) -> list[str]:
    log = vault["log"]
    keys = [f"    {key['key']} {key['number']}, SHA-256 {key['sha256'] or '-'}" for key in vault["keys"]]
    kept = vault.get("not_handed_over", 0)
    return [
        f"  {_ROLES[vault['role']].capitalize()}",
        f"    poster: {vault['records']}, innehåll: {vault['bodies']}",
        *([f"    allmänna handlingar som inte hade överlämnats: {kept}, enligt beslutet"] if kept else []),
        f"    loggens längd: {log['length']}, sista hash: {log['head']}",
        "    datanyckel och alla hemligheter, samt nycklarna" + (":" if keys else " (inga)"),
        *keys,
    ]


def _export_in_swedish(exported: bool) -> str:
    if exported:
        return "Loggen exporterades innan den förstördes."
    return "Loggen förstördes utan att ha exporterats, enligt beslutet."


def _kept_in_swedish(one: Facts) -> str:
    name = f"  Loggen för {_ROLES[one['role']]}"
    if one["file"] is None:
        return f"{name} kunde inte sparas: valvet var låst, och den är förstörd."
    verified = "verifierad" if one["holds"] else f"fel från post {one['first_wrong']}"
    until, entries = one["until"][:10], one["entries"]
    return (
        f"{name}, {entries} poster, {verified}, hos driftleverantören till {until}: SHA-256 {one['sha256']}"
    )


def _unfinished(one: Facts) -> str:
    return f"  {_ROLES[one['role']]} {one['what']} {one['id']}: {one['status']}, {one['reason']}"
