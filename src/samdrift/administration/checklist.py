"""The checklist of an organisation: each item that it needs to be ready, in order, judged from facts. Pure.

An item that could not be looked at is reported as not checked, and an organisation
with one is not ready: what is not known is never passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from cryptography import x509

from samdrift.administration.keyholder import HeldKeys
from samdrift.config.model import OrganisationConfig
from samdrift.config.organisations import HOST_KEYS, host_of
from samdrift.contracts.cover import Mode
from samdrift.contracts.principals import Role
from samdrift.governance.coverage import Standing as CoverStanding
from samdrift.installation.keyrows import Standing, key_rows
from samdrift.keystore.interface import HeldKey
from samdrift.keystore.keyfiles import KeyName
from samdrift.vault.registry import RegistrationState
from samdrift.vault.sessionkeys import LostMarks
from samdrift.wire.addressbook import FunctionalAddress, Organisation, OrganisationKind
from samdrift.wire.crypto.certificates import fingerprint, names_host
from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier
from samdrift.wire.smp import ServiceMetadata

T = TypeVar("T")

CREATE, INSTALL = "samdrift org keys create", "samdrift org keys install"


class State(StrEnum):
    """State of an item."""

    DONE = "done"
    SOON = "soon"
    """In order, and to be seen to by a day that is named."""
    MISSING = "missing"
    NOT_CHECKED = "not-checked"


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the checklist: what there is, and what to do next or whom to ask."""

    name: str
    state: State
    text: str
    next: str = ""


@dataclass(frozen=True, slots=True)
class Asked(Generic[T]):
    """The answer of a service: a value, ``None`` for "there is none", or the reason why it is unknown."""

    value: T | None = None
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is known of an organisation here and in the federation."""

    organisation: ParticipantIdentifier
    roles: tuple[Role, ...]
    """Roles that it is meant to have here."""
    now: datetime
    entry: OrganisationConfig | None = None
    vaults: Mapping[Role, RegistrationState] = field(default_factory=dict)
    keys: HeldKeys = field(default_factory=HeldKeys)
    """Keys in the vault of its message service."""
    unassigned: tuple[str, ...] = ()
    """Functional addresses whose messages no message client would get."""
    certificates: tuple[x509.Certificate, ...] = ()
    """Our access point's, the newest first; empty where there is none here."""
    address: str = ""
    """Address at which peers reach our access point, as the configuration has it."""
    registrations: Mapping[DocumentIdentifier, Asked[ServiceMetadata]] = field(default_factory=dict)
    """Answers of SML and SMP, by type of message; receipts last."""
    listed: Asked[Organisation] = Asked(unknown="not asked")
    """Its entry in the address book."""
    addresses: Asked[tuple[FunctionalAddress, ...]] = Asked(unknown="not asked")
    """Its functional addresses there."""
    parent: Organisation | None = None
    """In the address book, the organisation that its entry there belongs to."""
    locked: tuple[Role, ...] = ()
    """Roles whose vaults the organisation's own officer has to unlock."""
    lost_marks: Asked[tuple[LostMarks, ...]] = Asked(())
    """Losses of marks of session keys that are not accepted, in the vault of its message service."""
    server_certificates: tuple[x509.Certificate, ...] = ()
    """Certificates that the installation shows as a TLS server, the newest first."""
    served: Asked[frozenset[Role]] = Asked(unknown="the installation was not asked")
    """Roles that a running process serves it in; none where no process runs."""
    cover: Mapping[Role, CoverStanding] = field(default_factory=dict)
    """Cover of its roles by agreements, of those whose vaults could be looked at."""
    in_token: tuple[Role, ...] = ()
    """Roles whose vaults open with the organisation's token alone."""

    @property
    def message_service(self) -> bool:
        return Role.MESSAGE_SERVICE in self.roles

    @property
    def access_point(self) -> bool:
        return Role.ACCESS_POINT in self.roles


def checklist(facts: Facts) -> tuple[Item, ...]:
    """Every item that concerns the organisation, in the order in which they are done."""
    return tuple(item for items in ITEMS for item in items(facts))


def ready(items: Iterable[Item]) -> bool:
    """Return whether nothing is missing, and nothing unknown."""
    return all(item.state in (State.DONE, State.SOON) for item in items)


Items = Iterable[Item]


def _configuration(facts: Facts) -> Items:
    if facts.entry is not None:
        yield Item("configuration", State.DONE, "has an entry in the configuration file")
    else:
        yield Item(
            "configuration",
            State.MISSING,
            "has no entry in the configuration file",
            "add the entry below to it, completed; a running serve takes it up",
        )


def _vaults(facts: Facts) -> Items:
    for role in facts.roles:
        name, state = f"vault {role.value}", facts.vaults.get(role)
        if state is RegistrationState.ACTIVE and facts.locked and role not in facts.locked:
            todo = f"samdrift org lock {facts.organisation}, with its officer"
            yield Item(name, State.MISSING, "opens without its officer, who opens the others", todo)
        elif state is RegistrationState.ACTIVE:
            yield Item(name, State.DONE, "is there")
        elif state is RegistrationState.SUSPENDED:
            todo = f"samdrift org resume {facts.organisation}"
            yield Item(name, State.MISSING, "is suspended", todo)
        elif state is RegistrationState.CLOSING:
            yield Item(name, State.MISSING, "is being closed", f"samdrift org close {facts.organisation}")
        else:
            yield Item(name, State.MISSING, "is not there", f"samdrift org add {facts.organisation}")


def _served(facts: Facts) -> Items:
    """Return whether a process serves it now: what is all there is not ready while nobody answers."""
    for role in facts.roles:
        name = f"served {role.value}"
        if facts.vaults.get(role) is not RegistrationState.ACTIVE:
            continue
        if facts.served.value is None:
            yield Item(name, State.NOT_CHECKED, facts.served.unknown, "samdrift status")
        elif role in facts.served.value:
            yield Item(name, State.DONE, "a running process serves it")
        else:
            todo = "samdrift serve (systemctl start samdrift), and samdrift status"
            yield Item(name, State.MISSING, "no running process serves it", todo)


def _agreements(facts: Facts) -> Items:
    """Return whether agreements cover each role: what was inherited does so for a time, and has an end."""
    todo = f"samdrift gov agreement enter {facts.organisation}; samdrift gov coverage names the gaps"
    for role, found in facts.cover.items():
        name, until = f"agreements {role.value}", f" until {found.until:%Y-%m-%d}" if found.until else ""
        if found.mode is not Mode.ON:
            yield Item(name, State.MISSING, "no agreement covers it", todo)
        elif found.inherited:
            text = f"one inherited agreement covers it{until}: enter agreements before"
            yield Item(name, State.SOON, text, todo)
        else:
            soon = found.warning(facts.now) is not None
            yield Item(name, State.SOON if soon else State.DONE, f"agreements cover it{until}")


def _token(facts: Facts) -> Items:
    """Return whether the token that the entry names is used: nothing else tells that keys are still in
    files.
    """
    named = facts.entry is not None and facts.entry.hsm is not None
    for role in facts.vaults:
        item = f"token {role.value}"
        if named and role in facts.in_token:
            yield Item(item, State.DONE, "its token opens the vault")
        elif named:
            todo = f"samdrift org use-hsm {facts.organisation}, and replace the keys"
            yield Item(item, State.MISSING, "the vault opens without its token", todo)
        elif role in facts.in_token:
            yield Item(item, State.MISSING, "its entry does not name its token", "token in its entry")


def _keys(facts: Facts) -> Items:
    if not facts.message_service:
        return
    for name in (KeyName.SIGNING, KeyName.ENCRYPTION, KeyName.TLS_CLIENT):
        if facts.keys.problem:
            yield Item(f"key {name}", State.NOT_CHECKED, facts.keys.problem, "samdrift org unlock")
        else:
            yield _key(facts, name, facts.keys.of(name))


def _key(facts: Facts, name: KeyName, held: Sequence[HeldKey]) -> Item:
    item, organisation = f"key {name}", facts.organisation
    rows = key_rows(held, facts.now, [name])
    used = next((row.key for row in rows if row.in_use), None)
    again = f"two persons: {CREATE} {organisation} {name}; then have the request certified"
    if used is not None and used.certificate is not None:
        until = used.certificate.not_valid_after_utc
        if until <= facts.now:
            return Item(item, State.MISSING, f"its certificate ended on {until:%Y-%m-%d}", again)
        if any(row.attention for row in rows):
            return Item(item, State.SOON, f"its certificate ends on {until:%Y-%m-%d}", again)
        return Item(item, State.DONE, f"certified until {until:%Y-%m-%d}")
    standings = {row.standing for row in rows}
    if Standing.PLANNED in standings:
        todo = f"wait for its day, or samdrift org keys activate {organisation} {name}"
        return Item(item, State.MISSING, "is certified, and not used yet", todo)
    if Standing.WAITS in standings:
        todo = f"have the request certified, then {INSTALL} {organisation} {name} FILE"
        return Item(item, State.MISSING, "waits for its certificate", todo)
    text = "has been revoked and has no successor" if held else "has not been made"
    return Item(item, State.MISSING, text, again)


def _interface_c(facts: Facts) -> Items:
    """Return whether the organisation's message service is let in at its access point."""
    name = "interface C"
    if facts.entry is None:
        return
    clients = facts.entry.clients
    certificates = facts.keys.certificates(KeyName.TLS_CLIENT)
    own = fingerprint(certificates[0]) if certificates else None
    if facts.access_point and facts.message_service:
        if own is None:
            yield Item(name, State.MISSING, "there is no client certificate yet", "see key tls-client")
        elif own in clients.values():
            yield Item(name, State.DONE, "its client certificate is registered")
        else:
            todo = f'add under clients in its entry: message-service = "{own}"'
            yield Item(name, State.MISSING, "its client certificate is not registered", todo)
    elif facts.access_point:
        if clients:
            yield Item(name, State.DONE, f"registered for {', '.join(clients)}")
        else:
            todo = "ask the supplier of its message service for the client certificate; clients in its entry"
            yield Item(name, State.MISSING, "nobody is registered", todo)
    elif facts.message_service:
        todo = f"have SHA-256 {own} let in there" if own else "see key tls-client"
        yield Item(name, State.NOT_CHECKED, "its access point is another supplier's: ask there", todo)


def _hosts(facts: Facts) -> Items:
    """Return whether browsers will accept the server's certificate at the hosts of the organisation."""
    for role, key in HOST_KEYS.items():
        host = host_of(facts.entry, role) if facts.entry else ""
        if role not in facts.roles or not host:
            continue
        item = f"host {role}"
        if any(names_host(one, host) for one in facts.server_certificates):
            yield Item(item, State.DONE, f"{host} is named in the server's certificate")
        else:
            todo = "samdrift keys request tls-server, certified for that host; or change " + key
            yield Item(item, State.MISSING, f"no certificate of the server names {host}", todo)


def _addresses(facts: Facts) -> Items:
    if facts.entry is None or not facts.message_service:
        return
    addresses = facts.entry.functional_addresses
    if not addresses:
        todo = "ask the organisation which it has; functional_addresses in its entry"
        yield Item("functional addresses", State.MISSING, "there are none", todo)
        return
    yield Item("functional addresses", State.DONE, f"{len(addresses)} in its entry")
    if not facts.entry.message_clients:
        todo = "ask the organisation for its client's key; [[organisations.message_clients]] in its entry"
        yield Item("message clients", State.MISSING, "there is none", todo)
    elif facts.unassigned:
        todo = "let one client have them, or one be the default; samdrift routing shows who gets what"
        text = f"nobody gets what comes to {', '.join(facts.unassigned)}"
        yield Item("message clients", State.MISSING, text, todo)
    else:
        yield Item("message clients", State.DONE, "get what comes to every address")


def _registration(facts: Facts) -> Items:
    """SML and SMP (component-sml, component-smp): the right access point under the right address."""
    asked = list(facts.registrations.items())
    if not asked:
        yield Item("SMP", State.NOT_CHECKED, "the federation was not asked", "ask again, without --offline")
    for document, answer in asked:
        yield _registered(facts, f"SMP {_kind(document)}", answer)
    if facts.access_point and not facts.address and any(answer.value for _, answer in asked):
        found = sorted({one.address for _, answer in asked if answer.value for one in answer.value.endpoints})
        todo = "set access_point.address in the configuration to where peers reach it"
        yield Item("SMP address", State.NOT_CHECKED, f"registered under {', '.join(found)}", todo)


def _registered(facts: Facts, name: str, answer: Asked[ServiceMetadata]) -> Item:
    if answer.unknown:
        return Item(name, State.NOT_CHECKED, answer.unknown, "try again later")
    register = "register it in DIGG's SMP"
    if answer.value is None:
        return Item(name, State.MISSING, "is not registered", register)
    if not facts.access_point:
        found = ", ".join(sorted({one.address for one in answer.value.endpoints}))
        return Item(name, State.DONE, f"registered at another supplier's access point, {found}")
    certificates = {one.certificate for one in answer.value.endpoints}
    if not facts.certificates:
        return Item(
            name, State.NOT_CHECKED, "our access point has no certificate yet", "samdrift keys request"
        )
    if facts.certificates[0] not in certificates:
        text = "is registered with another certificate than our access point's"
        return Item(
            name, State.MISSING, text, f"{register} with SHA-256 {fingerprint(facts.certificates[0])}"
        )
    addresses = {one.address for one in answer.value.endpoints}
    if facts.address and facts.address not in addresses:
        text = f"is registered under {', '.join(sorted(addresses))}, not {facts.address}"
        return Item(name, State.MISSING, text, register)
    return Item(name, State.DONE, "registered with our access point's certificate")


def _published(facts: Facts) -> Items:
    """CertPub: what is encrypted for us we can open, and what we sign others can verify."""
    if not facts.message_service or not any(answer.value for answer in facts.registrations.values()):
        return
    for document, answer in facts.registrations.items():
        if answer.value is None or not document.requires_protection:
            continue
        if _is_receipt(document):
            name, key, published = "signing", KeyName.SIGNING, answer.value.certificates.signing
        else:
            name, key, published = "encryption", KeyName.ENCRYPTION, answer.value.certificates.encryption
        ours = facts.keys.certificates(key)
        yield _certified(facts, f"CertPub {name}", ours, published)


def _certified(
    facts: Facts, item: str, ours: Sequence[x509.Certificate], published: Sequence[x509.Certificate]
) -> Item:
    todo = f"hand in the certificate to DIGG: samdrift org keys publish {facts.organisation}"
    strangers = set(published) - set(ours)
    if facts.keys.problem:
        return Item(item, State.NOT_CHECKED, facts.keys.problem, "samdrift org unlock")
    if not set(ours) & set(published):
        text = "no certificate of ours is published" if published else "nothing is published"
        return Item(item, State.MISSING, text, todo)
    if ours[0] not in published:
        return Item(item, State.SOON, "an older certificate of ours is published", todo)
    if strangers:
        text = "ours is published, together with one that is revoked or not ours"
        return Item(item, State.SOON, text, f"have it taken away; {todo}")
    return Item(item, State.DONE, "ours is published")


def _address_book(facts: Facts) -> Items:
    name = "address book"
    listed = facts.listed.value
    if facts.listed.unknown:
        yield Item(name, State.NOT_CHECKED, facts.listed.unknown, "ask again later, without --offline")
        return
    if listed is None:
        yield Item(name, State.MISSING, "has no entry", "ask DIGG to enter it (architecture-sad 4.3.1)")
        return
    yield _entry(facts, listed)
    if facts.entry is None or not facts.message_service:
        return
    if facts.addresses.value is None:
        yield Item("addresses listed", State.NOT_CHECKED, facts.addresses.unknown, "try again later")
        return
    there = {one.identifier.casefold() for one in facts.addresses.value}
    missing = [one for one in facts.entry.functional_addresses if one.casefold() not in there]
    more = there - {one.casefold() for one in facts.entry.functional_addresses}
    if missing:
        todo = "ask the organisation to enter them in the address book"
        yield Item("addresses listed", State.MISSING, f"not listed: {', '.join(missing)}", todo)
    elif more:
        todo = "add them to functional_addresses in its entry, or ask the organisation to remove them"
        yield Item(
            "addresses listed", State.MISSING, f"listed, but not served: {', '.join(sorted(more))}", todo
        )
    else:
        yield Item("addresses listed", State.DONE, f"{len(there)} in the address book")


def _entry(facts: Facts, listed: Organisation) -> Item:
    """An under-organisation's entry belongs to the one that it is a part of."""
    parent = facts.entry.part_of if facts.entry else None
    under = listed.kind is OrganisationKind.UNDER_ORGANISATION
    if parent is None and not under:
        return Item("address book", State.DONE, f"has an entry: {listed.name}")
    named = facts.parent.participant if facts.parent else None
    if under and parent is not None and named == parent:
        return Item("address book", State.DONE, f"has an entry: {listed.name}, part of {parent}")
    stands = (
        f"an under-organisation of {named or 'an unknown one'}" if under else "an organisation of its own"
    )
    meant = f"a part of {parent}" if parent else "an organisation of its own"
    todo = "ask DIGG to change the entry, or change part_of in the configuration"
    return Item("address book", State.MISSING, f"has an entry as {stands}, and is {meant} here", todo)


def _marks(facts: Facts) -> Items:
    """An item only where something is wrong: most organisations never lose any."""
    if facts.lost_marks.unknown:
        yield Item("session keys", State.NOT_CHECKED, facts.lost_marks.unknown)
    for lost in facts.lost_marks.value or ():
        since = "the beginning" if lost.since is None else f"{lost.since:%Y-%m-%d %H:%M}"
        yield Item(
            "session keys",
            State.MISSING,
            f"marks from {since} to {lost.until:%Y-%m-%d %H:%M} are lost: envelopes from then are not opened",
            f"a new encryption key ({CREATE}), or two accept the risk: samdrift org keys lost-marks --accept",
        )


ITEMS: tuple[Callable[[Facts], Items], ...] = (
    _configuration,
    _vaults,
    _served,
    _agreements,
    _token,
    _keys,
    _marks,
    _interface_c,
    _hosts,
    _addresses,
    _registration,
    _published,
    _address_book,
)
"""The items in their order: first what is done here, then what others do."""


def _is_receipt(document: DocumentIdentifier) -> bool:
    return "ApplicationResponse" in document.value


def _kind(document: DocumentIdentifier) -> str:
    """A type of message in few words."""
    model = "" if document.requires_protection else " (base)"
    return ("receipt" if _is_receipt(document) else "message") + model
