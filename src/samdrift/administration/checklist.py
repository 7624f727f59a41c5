"""The checklist of an organisation: every item needed for it to be ready, in order, judged from facts.

The functions are pure. An item that could not be examined is reported as not checked, and an organisation
with such an item is not ready: an unknown state never passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from cryptography import x509

from samdrift.administration.keyholder import HeldKeys
from samdrift.config.model import OrganisationConfig
from samdrift.config.organisations import HOST_KEYS, host_of
from samdrift.contracts.cover import Mode
from samdrift.contracts.phrases import Phrase
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


class State(StrEnum):
    """State of an item."""

    DONE = "done"
    SOON = "soon"
    """In order, but requires attention by a given day."""
    MISSING = "missing"
    NOT_CHECKED = "not-checked"


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the checklist: the current state and the next step."""

    label: Phrase
    state: State
    said: Phrase
    todo: Phrase | None = None

    @property
    def name(self) -> str:
        """Return the item's name, as commands and the doctor show it."""
        return str(self.label)

    @property
    def text(self) -> str:
        """Return the item's state as text, as commands print it."""
        return str(self.said)

    @property
    def next(self) -> str:
        """Return the next step; empty if there is none."""
        return "" if self.todo is None else str(self.todo)


@dataclass(frozen=True, slots=True)
class Asked(Generic[T]):
    """A service's answer: a value, ``None`` if there is none, or the reason why it is unknown."""

    value: T | None = None
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything known about an organisation, from this installation and the federation."""

    organisation: ParticipantIdentifier
    roles: tuple[Role, ...]
    """Roles that the organisation is meant to have here."""
    now: datetime
    entry: OrganisationConfig | None = None
    vaults: Mapping[Role, RegistrationState] = field(default_factory=dict)
    keys: HeldKeys = field(default_factory=HeldKeys)
    """Keys in the vault of its message service."""
    unassigned: tuple[str, ...] = ()
    """Functional addresses whose messages no message client would receive."""
    certificates: tuple[x509.Certificate, ...] = ()
    """Our access point's certificates, newest first; empty without an access point here."""
    address: str = ""
    """Address at which peers reach our access point, according to the configuration."""
    registrations: Mapping[DocumentIdentifier, Asked[ServiceMetadata]] = field(default_factory=dict)
    """Answers of SML and SMP, by type of message; receipts last."""
    listed: Asked[Organisation] = Asked(unknown="not asked")
    """The organisation's entry in the address book."""
    addresses: Asked[tuple[FunctionalAddress, ...]] = Asked(unknown="not asked")
    """The organisation's functional addresses in the address book."""
    parent: Organisation | None = None
    """Parent organisation of the organisation's entry in the address book."""
    locked: tuple[Role, ...] = ()
    """Roles whose vaults the organisation's own officer must unlock."""
    lost_marks: Asked[tuple[LostMarks, ...]] = Asked(())
    """Losses of session key marks in its message service's vault that have not been accepted."""
    server_certificates: tuple[x509.Certificate, ...] = ()
    """Certificates that the installation presents as a TLS server, the newest first."""
    behind_proxy: tuple[Role, ...] = ()
    """Roles whose pages are served through a proxy, which presents the certificate."""
    served: Asked[frozenset[Role]] = Asked(unknown="the installation was not asked")
    """Roles in which a running process serves the organisation; empty if no process runs."""
    cover: Mapping[Role, CoverStanding] = field(default_factory=dict)
    """Cover by agreements of each role whose vault could be examined."""
    in_token: tuple[Role, ...] = ()
    """Roles whose vaults open only with the organisation's HSM."""

    @property
    def message_service(self) -> bool:
        return Role.MESSAGE_SERVICE in self.roles

    @property
    def access_point(self) -> bool:
        return Role.ACCESS_POINT in self.roles


def checklist(facts: Facts) -> tuple[Item, ...]:
    """Return all items that concern the organisation, in the order in which to complete them."""
    return tuple(item for items in ITEMS for item in items(facts))


def ready(items: Iterable[Item]) -> bool:
    """Return whether every item is known and in order."""
    return all(item.state in (State.DONE, State.SOON) for item in items)


Items = Iterable[Item]


def _configuration(facts: Facts) -> Items:
    name = Phrase("configuration")
    if facts.entry is not None:
        yield Item(name, State.DONE, Phrase("has an entry in the configuration file"))
    else:
        todo = Phrase(
            "samdrift org add %(organisation)s prints its entry: complete it and add it to the "
            "configuration; serve loads it",
            {"organisation": str(facts.organisation)},
        )
        yield Item(name, State.MISSING, Phrase("has no entry in the configuration file"), todo)


def _vaults(facts: Facts) -> Items:
    for role in facts.roles:
        name, state = Phrase("vault %(role)s", {"role": role.value}), facts.vaults.get(role)
        if state is RegistrationState.ACTIVE and facts.locked and role not in facts.locked:
            todo = Phrase(
                "samdrift org lock %(organisation)s, with its officer", {"organisation": facts.organisation}
            )
            yield Item(name, State.MISSING, Phrase("opens without its officer, who opens the others"), todo)
        elif state is RegistrationState.ACTIVE:
            yield Item(name, State.DONE, Phrase("is there"))
        elif state is RegistrationState.SUSPENDED:
            todo = Phrase(
                "samdrift org resume %(organisation)s, with the reason by --why, once the cause is settled",
                {"organisation": facts.organisation},
            )
            yield Item(name, State.MISSING, Phrase("is suspended"), todo)
        elif state is RegistrationState.CLOSING:
            todo = _command(f"samdrift org close {facts.organisation}")
            yield Item(name, State.MISSING, Phrase("is being closed"), todo)
        else:
            todo = _command(f"samdrift org add {facts.organisation}")
            yield Item(name, State.MISSING, Phrase("is not there"), todo)


def _served(facts: Facts) -> Items:
    """Check that a process serves each role now: even a complete organisation is not ready without one."""
    for role in facts.roles:
        name = Phrase("served %(role)s", {"role": role.value})
        if facts.vaults.get(role) is not RegistrationState.ACTIVE:
            continue
        if facts.served.value is None:
            yield Item(name, State.NOT_CHECKED, _as_told(facts.served.unknown), _command("samdrift status"))
        elif role in facts.served.value:
            yield Item(name, State.DONE, Phrase("a running process serves it"))
        else:
            todo = Phrase("samdrift serve (systemctl start samdrift), and samdrift status")
            yield Item(name, State.MISSING, Phrase("no running process serves it"), todo)


def _agreements(facts: Facts) -> Items:
    """Check that agreements cover each role; an inherited agreement does so only for a limited time."""
    todo = Phrase(
        "samdrift gov agreement enter %(organisation)s; samdrift gov coverage names the gaps",
        {"organisation": facts.organisation},
    )
    for role, found in facts.cover.items():
        name = Phrase("agreements %(role)s", {"role": role.value})
        until = Phrase(" until %(day)s", {"day": f"{found.until:%Y-%m-%d}"}) if found.until else ""
        if found.mode is not Mode.ON:
            yield Item(name, State.MISSING, Phrase("no agreement covers it"), todo)
        elif found.inherited:
            text = Phrase(
                "one inherited agreement covers it%(until)s: enter agreements before", {"until": until}
            )
            yield Item(name, State.SOON, text, todo)
        else:
            soon = found.warning(facts.now) is not None
            text = Phrase("agreements cover it%(until)s", {"until": until})
            yield Item(name, State.SOON if soon else State.DONE, text)


def _token(facts: Facts) -> Items:
    """Check that the HSM named in the entry is used, since no other check reveals keys still in files."""
    named = facts.entry is not None and facts.entry.hsm is not None
    for role in facts.vaults:
        item = Phrase("token %(role)s", {"role": role.value})
        if named and role in facts.in_token:
            yield Item(item, State.DONE, Phrase("its token opens the vault"))
        elif named:
            todo = Phrase(
                "samdrift org use-hsm %(organisation)s, and replace the keys",
                {"organisation": facts.organisation},
            )
            yield Item(item, State.MISSING, Phrase("the vault opens without its token"), todo)
        elif role in facts.in_token:
            text = Phrase("its entry does not name its token")
            yield Item(item, State.MISSING, text, Phrase("token in its entry"))


def _keys(facts: Facts) -> Items:
    if not facts.message_service:
        return
    for name in (KeyName.SIGNING, KeyName.ENCRYPTION, KeyName.TLS_CLIENT):
        if facts.keys.problem:
            item = Phrase("key %(name)s", {"name": name.value})
            yield Item(item, State.NOT_CHECKED, _as_told(facts.keys.problem), _command("samdrift org unlock"))
        else:
            yield _key(facts, name, facts.keys.of(name))


def _key(facts: Facts, name: KeyName, held: Sequence[HeldKey]) -> Item:
    item = Phrase("key %(name)s", {"name": name.value})
    which = {"organisation": facts.organisation, "name": name.value}
    rows = key_rows(held, facts.now, [name])
    used = next((row.key for row in rows if row.in_use), None)
    again = _again(facts, which)
    if used is not None and used.certificate is not None:
        until = used.certificate.not_valid_after_utc
        day = {"day": f"{until:%Y-%m-%d}"}
        if until <= facts.now:
            return Item(item, State.MISSING, Phrase("its certificate ended on %(day)s", day), again)
        if any(row.attention for row in rows):
            return Item(item, State.SOON, Phrase("its certificate ends on %(day)s", day), again)
        return Item(item, State.DONE, Phrase("certified until %(day)s", day))
    standings = {row.standing for row in rows}
    if Standing.PLANNED in standings:
        todo = Phrase("wait for its day, or samdrift org keys activate %(organisation)s %(name)s", which)
        return Item(item, State.MISSING, Phrase("is certified, and not used yet"), todo)
    if Standing.WAITS in standings:
        todo = Phrase(
            "have the request certified, then samdrift org keys install %(organisation)s %(name)s %(file)s",
            {**which, "file": "FILE"},
        )
        return Item(item, State.MISSING, Phrase("waits for its certificate"), todo)
    text = Phrase("has been revoked and has no successor") if held else Phrase("has not been made")
    return Item(item, State.MISSING, text, again)


def _again(facts: Facts, which: dict[str, Any]) -> Phrase:
    """Return the command that makes a key: together with all others if the organisation has none yet."""
    if facts.keys.keys:
        return Phrase(
            "two persons: samdrift org keys create %(organisation)s %(name)s; then have the request"
            " certified",
            which,
        )
    return Phrase(
        "two persons: samdrift org keys create-all %(organisation)s --out %(folder)s; then have the"
        " requests certified",
        {**which, "folder": "FOLDER"},
    )


def _interface_c(facts: Facts) -> Items:
    """Check that the organisation's message service is registered as a client of its access point."""
    name = Phrase("interface C")
    if facts.entry is None:
        return
    clients = facts.entry.clients
    certificates = facts.keys.certificates(KeyName.TLS_CLIENT)
    own = fingerprint(certificates[0]) if certificates else None
    if facts.access_point and facts.message_service:
        if own is None:
            text = Phrase("there is no client certificate yet")
            yield Item(name, State.MISSING, text, Phrase("see key tls-client"))
        elif own in clients.values():
            yield Item(name, State.DONE, Phrase("its client certificate is registered"))
        else:
            todo = Phrase(
                "add under clients in its entry: message-service = %(digest)s", {"digest": f'"{own}"'}
            )
            yield Item(name, State.MISSING, Phrase("its client certificate is not registered"), todo)
    elif facts.access_point:
        if clients:
            yield Item(name, State.DONE, Phrase("registered for %(names)s", {"names": ", ".join(clients)}))
        else:
            todo = Phrase(
                "ask the supplier of its message service for the client certificate; clients in its entry"
            )
            yield Item(name, State.MISSING, Phrase("nobody is registered"), todo)
    elif facts.message_service:
        todo = Phrase("ask them to register the client certificate with SHA-256 %(digest)s", {"digest": own})
        text = Phrase("its access point is another supplier’s: ask there")
        yield Item(name, State.NOT_CHECKED, text, todo if own else Phrase("see key tls-client"))


def _hosts(facts: Facts) -> Items:
    """Check that browsers will accept the server's certificate for the organisation's hosts."""
    for role, key in HOST_KEYS.items():
        host = host_of(facts.entry, role) if facts.entry else ""
        if role not in facts.roles or not host:
            continue
        item = Phrase("host %(role)s", {"role": role.value})
        if role in facts.behind_proxy:
            text = Phrase("%(host)s is served to a proxy, which has the certificate", {"host": host})
            yield Item(item, State.DONE, text)
        elif any(names_host(one, host) for one in facts.server_certificates):
            yield Item(
                item, State.DONE, Phrase("%(host)s is named in the server’s certificate", {"host": host})
            )
        else:
            todo = Phrase(
                "samdrift keys request tls-server, certified for that host; or change %(key)s", {"key": key}
            )
            text = Phrase("no certificate of the server names %(host)s", {"host": host})
            yield Item(item, State.MISSING, text, todo)


def _addresses(facts: Facts) -> Items:
    if facts.entry is None or not facts.message_service:
        return
    addresses, name = facts.entry.functional_addresses, Phrase("functional addresses")
    if not addresses:
        todo = Phrase("ask the organisation which it has; functional_addresses in its entry")
        yield Item(name, State.MISSING, Phrase("there are none"), todo)
        return
    yield Item(name, State.DONE, Phrase("%(count)s in its entry", {"count": len(addresses)}))
    clients = Phrase("message clients")
    if not facts.entry.message_clients:
        todo = Phrase(
            "ask the organisation for its client’s key; [[organisations.message_clients]] in its entry"
        )
        yield Item(clients, State.MISSING, Phrase("there is none"), todo)
    elif facts.unassigned:
        todo = Phrase(
            "assign them to a client, or make one the default; samdrift routing shows who gets what"
        )
        text = Phrase(
            "no client receives messages to %(addresses)s", {"addresses": ", ".join(facts.unassigned)}
        )
        yield Item(clients, State.MISSING, text, todo)
    else:
        yield Item(clients, State.DONE, Phrase("receive messages to every address"))


def _registration(facts: Facts) -> Items:
    """Check SML and SMP (component-sml, component-smp) for the right access point and address."""
    asked = list(facts.registrations.items())
    if not asked:
        text = Phrase("the federation was not queried")
        yield Item(Phrase("SMP"), State.NOT_CHECKED, text, Phrase("ask again, without --offline"))
    for document, answer in asked:
        yield _registered(facts, Phrase("SMP %(kind)s", {"kind": _kind(document)}), answer)
    if facts.access_point and not facts.address and any(answer.value for _, answer in asked):
        found = sorted({one.address for _, answer in asked if answer.value for one in answer.value.endpoints})
        todo = Phrase("set access_point.address in the configuration to where peers reach it")
        text = Phrase("registered under %(addresses)s", {"addresses": ", ".join(found)})
        yield Item(Phrase("SMP address"), State.NOT_CHECKED, text, todo)


def _registered(facts: Facts, name: Phrase, answer: Asked[ServiceMetadata]) -> Item:
    if answer.unknown:
        return Item(name, State.NOT_CHECKED, _as_told(answer.unknown), Phrase("try again later"))
    register = Phrase("register it in DIGG’s SMP")
    if answer.value is None:
        return Item(name, State.MISSING, Phrase("is not registered"), register)
    if not facts.access_point:
        where = {"address": ", ".join(sorted({one.address for one in answer.value.endpoints}))}
        text = Phrase("registered at another supplier’s access point, %(address)s", where)
        return Item(name, State.DONE, text)
    certificates = {one.certificate for one in answer.value.endpoints}
    if not facts.certificates:
        text = Phrase("our access point has no certificate yet")
        return Item(name, State.NOT_CHECKED, text, _command("samdrift keys request"))
    if facts.certificates[0] not in certificates:
        text = Phrase("is registered with another certificate than our access point’s")
        todo = Phrase(
            "register it in DIGG’s SMP with SHA-256 %(digest)s",
            {"digest": fingerprint(facts.certificates[0])},
        )
        return Item(name, State.MISSING, text, todo)
    addresses = {one.address for one in answer.value.endpoints}
    if facts.address and facts.address not in addresses:
        values = {"addresses": ", ".join(sorted(addresses)), "ours": facts.address}
        text = Phrase("is registered under %(addresses)s, not %(ours)s", values)
        return Item(name, State.MISSING, text, register)
    return Item(name, State.DONE, Phrase("registered with our access point’s certificate"))


def _published(facts: Facts) -> Items:
    """Check CertPub: we can decrypt messages encrypted for us, and others can verify our signatures."""
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
        yield _certified(facts, Phrase("CertPub %(key)s", {"key": name}), ours, published)


def _certified(
    facts: Facts, item: Phrase, ours: Sequence[x509.Certificate], published: Sequence[x509.Certificate]
) -> Item:
    todo = Phrase(
        "hand in the certificate to DIGG: samdrift org keys publish %(organisation)s",
        {"organisation": facts.organisation},
    )
    strangers = set(published) - set(ours)
    if facts.keys.problem:
        return Item(item, State.NOT_CHECKED, _as_told(facts.keys.problem), _command("samdrift org unlock"))
    if not set(ours) & set(published):
        nothing = Phrase("nothing is published")
        text = Phrase("no certificate of ours is published") if published else nothing
        return Item(item, State.MISSING, text, todo)
    if ours[0] not in published:
        return Item(item, State.SOON, Phrase("an older certificate of ours is published"), todo)
    if strangers:
        text = Phrase("ours is published, together with one that is revoked or not ours")
        return Item(item, State.SOON, text, Phrase("ask for it to be removed; %(todo)s", {"todo": todo}))
    return Item(item, State.DONE, Phrase("ours is published"))


def _address_book(facts: Facts) -> Items:
    name, listed_addresses = Phrase("address book"), Phrase("addresses listed")
    listed = facts.listed.value
    if facts.listed.unknown:
        later = Phrase("ask again later, without --offline")
        named = Phrase("name it in the configuration: address_book")
        todo = named if facts.listed.unknown == str(NO_BOOK) else later
        yield Item(name, State.NOT_CHECKED, _as_told(facts.listed.unknown), todo)
        return
    if listed is None:
        todo = Phrase("ask DIGG to enter it (architecture-sad 4.3.1)")
        yield Item(name, State.MISSING, Phrase("has no entry"), todo)
        return
    yield _entry(facts, listed)
    if facts.entry is None or not facts.message_service:
        return
    if facts.addresses.value is None:
        text = _as_told(facts.addresses.unknown)
        yield Item(listed_addresses, State.NOT_CHECKED, text, Phrase("try again later"))
        return
    there = {one.identifier.casefold() for one in facts.addresses.value}
    missing = [one for one in facts.entry.functional_addresses if one.casefold() not in there]
    more = there - {one.casefold() for one in facts.entry.functional_addresses}
    if missing:
        todo = Phrase("ask the organisation to enter them in the address book")
        text = Phrase("not listed: %(addresses)s", {"addresses": ", ".join(missing)})
        yield Item(listed_addresses, State.MISSING, text, todo)
    elif more:
        todo = Phrase("add them to functional_addresses in its entry, or ask the organisation to remove them")
        text = Phrase("listed, but not served: %(addresses)s", {"addresses": ", ".join(sorted(more))})
        yield Item(listed_addresses, State.MISSING, text, todo)
    else:
        text = Phrase("%(count)s in the address book", {"count": len(there)})
        yield Item(listed_addresses, State.DONE, text)


def _entry(facts: Facts, listed: Organisation) -> Item:
    """Check an entry in the address book; an under-organisation's must belong to its parent."""
    name = Phrase("address book")
    parent = facts.entry.part_of if facts.entry else None
    under = listed.kind is OrganisationKind.UNDER_ORGANISATION
    if parent is None and not under:
        return Item(name, State.DONE, Phrase("has an entry: %(name)s", {"name": listed.name}))
    named = facts.parent.participant if facts.parent else None
    if under and parent is not None and named == parent:
        values = {"name": listed.name, "parent": parent}
        return Item(name, State.DONE, Phrase("has an entry: %(name)s, part of %(parent)s", values))
    of_its_own = Phrase("an organisation of its own")
    unknown = Phrase("an unknown one")
    stands = (
        Phrase("an under-organisation of %(parent)s", {"parent": named or unknown}) if under else of_its_own
    )
    meant = Phrase("a part of %(parent)s", {"parent": parent}) if parent else of_its_own
    todo = Phrase("ask DIGG to change the entry, or change part_of in the configuration")
    text = Phrase("has an entry as %(stands)s, and is %(meant)s here", {"stands": stands, "meant": meant})
    return Item(name, State.MISSING, text, todo)


def _marks(facts: Facts) -> Items:
    """Yield an item only if marks are lost or unknown: most organisations never lose any."""
    name = Phrase("session keys")
    if facts.lost_marks.unknown:
        yield Item(name, State.NOT_CHECKED, _as_told(facts.lost_marks.unknown))
    for lost in facts.lost_marks.value or ():
        beginning = Phrase("the beginning")
        since = beginning if lost.since is None else f"{lost.since:%Y-%m-%d %H:%M}"
        yield Item(
            name,
            State.MISSING,
            Phrase(
                "marks from %(since)s to %(until)s are lost: envelopes from then are not opened",
                {"since": since, "until": f"{lost.until:%Y-%m-%d %H:%M}"},
            ),
            Phrase(
                "a new encryption key (samdrift org keys create), or two accept the risk:"
                " samdrift org keys lost-marks --accept"
            ),
        )


def _command(command: str) -> Phrase:
    """Return a next step that is only a command to type."""
    return Phrase("%(command)s", {"command": command})


def _as_told(reason: str) -> Phrase:
    """Return the reason why a state is unknown, as a translatable text if it is one of ``REASONS``."""
    return next((each for each in REASONS if str(each) == reason), Phrase("%(reason)s", {"reason": reason}))


NO_BOOK = Phrase("the configuration names no address book")
REASONS = (
    Phrase("not asked"),
    Phrase("the federation was not queried"),
    Phrase("the installation was not asked"),
    Phrase("SML or SMP gave no answer in time"),
    NO_BOOK,
    Phrase("the address book gave no answer in time"),
)
"""Reasons with a fixed text; others name a service and are shown as reported."""


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
"""The items in order: first those done here, then those that depend on other parties."""


def _is_receipt(document: DocumentIdentifier) -> bool:
    return "ApplicationResponse" in document.value


def _kind(document: DocumentIdentifier) -> Phrase:
    """Return a short name for a type of message."""
    if document.requires_protection:
        return Phrase("receipt") if _is_receipt(document) else Phrase("message")
    return Phrase("receipt (base)") if _is_receipt(document) else Phrase("message (base)")
