"""Every kind of actor at every door of the gate, for every purpose: a stranger opens nothing (R2, R5).

Kinds of actors, purposes, roles and doors are read from the code: a new one is tried automatically, or
fails until a case is added for it.
"""

from __future__ import annotations

import inspect

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.isolationcheck.check import KINDS, not_staff, strangers
from samdrift.vault.errors import VaultDenied
from samdrift.vault.events import VaultEvent
from samdrift.vault.gate import Gate
from samdrift.vault.portability.arrival import AccessPointArrival, MessageServiceArrival
from samdrift.vault.portability.departure import AccessPointDeparture, MessageServiceDeparture
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import Superuser, superuser
from tests.sizes import sampled
from tests.vaults import NOW, WORKER, Installation, body, message, submitted

OWN, THEIRS = ParticipantIdentifier("0203:own.se"), ParticipantIdentifier("0203:theirs.se")
OPEN_TO_ORGANISATIONS = frozenset({"open", "operate", "depart", "arrive"})
"""Doors of the gate that accept an organisation; all are tried below."""
MORE: dict[str, tuple[object, ...]] = {
    "open": (Role.ACCESS_POINT, Purpose.READ),
    "operate": (),
    "depart": (AccessPointDeparture, {}),
    "arrive": (AccessPointArrival,),
}
"""Arguments of each door in addition to the principal and the organisation."""
OF_THE_PLATFORM = {
    "start": "opens the platform's own gate",
    "close": "ends it",
    "database": "the server and the platform's own logins; a vault's password is not there",
    "wakeups": "tells which vaults to look into; each is opened for itself",
    "visits": "tells to which vaults a connection stands; each is opened for itself",
    "covered_by": "for the platform: what to ask about agreements before a vault is opened; it opens none",
    "cover": "whether agreements cover a function, for the platform that runs it; nothing of a vault",
    "due": "which vaults to look into, and when; the registry knows, and each is opened for itself",
    "registry": "who is hosted; held by every process that has the registry's login",
    "news": "raised for an organisation, tells nothing",
    "growth": "which logs have entries that no checkpoint covers; it opens none of them",
    "denials": "a number",
    "failed_notifications": "a number",
    "without_reader": "names of schemas whose worker has no login to the registry; nothing in them",
    "worker": "`open` for a worker of the platform in one role; what it opens is tried as `open` is",
    "record_for_organisation": "writes in an organisation's log what was done about it, and reads nothing",
    "operator_log": "the operator's own log",
    "read_operator_log": "the operator's own log",
    "reach": "whether the database answers, and nothing that is in it",
    "reach_objects": "whether the object store answers, and nothing that is in it",
    "operator_tree": "the operator's own log, signed and proved",
    "pause_signing": "the operator's own log: which vaults sign nothing now; it opens none of them",
    "claimant": "the random name of this process, under which it claims work",
    "leases": "whose work that comes by itself this process does; it opens none of them",
    "lease_keeper": "renews these in the registry, by the random name of this process",
    "refused": "the operator's own log: envelopes that were for nobody here",
}
"""Other members of the gate, and the reason that each is not a way into a vault."""


async def test_every_member_of_the_gate_is_a_door_that_is_tried_or_none(installation: Installation) -> None:
    members = {*dir(Gate), *vars(installation.gate)}
    missing = (
        {name for name in members if not name.startswith("_")} - OPEN_TO_ORGANISATIONS - set(OF_THE_PLATFORM)
    )
    assert not missing, f"test {missing} with every actor that is not allowed, or state why it opens no vault"


def test_every_door_names_who_comes_and_for_whom() -> None:
    for name in OPEN_TO_ORGANISATIONS:
        assert {"principal", "organisation"} <= set(inspect.signature(getattr(Gate, name)).parameters)


def test_every_kind_of_actor_has_a_name_and_is_tried() -> None:
    assert set(KINDS) == set(PrincipalKind), "name the new kind of actor in samdrift.isolationcheck.check"
    tried = {principal.kind for principal in strangers(OWN, THEIRS).values()}
    assert tried == set(PrincipalKind)
    assert {one.kind for one in not_staff(OWN, THEIRS).values()} == set(PrincipalKind) - {
        PrincipalKind.OPERATOR
    }


@pytest_asyncio.fixture(scope="module")
async def hosted(installation: Installation) -> tuple[ParticipantIdentifier, ParticipantIdentifier]:
    """Return an organisation that attacks, and another one whose vaults have content."""
    own, theirs = await installation.organisation(), await installation.organisation()
    async with installation.open(theirs, Role.ACCESS_POINT) as transfers:
        await submitted(transfers)
    async with installation.open(theirs, Role.MESSAGE_SERVICE) as messages:
        await messages.create_outgoing(message(), await body(messages), now=NOW, lease=None)
    return own, theirs


def everything_but_the_log(seen_by: Superuser, organisation: ParticipantIdentifier) -> dict[str, object]:
    question = "SELECT role, schema FROM registry.registrations WHERE organisation = %s"
    schemas = {Role(role): schema for role, schema in seen_by.rows(question, organisation.value)}
    assert set(schemas) == set(Role)
    content = seen_by.snapshots(schemas.values())
    return {
        f"{role} {table}": rows
        for role, schema in schemas.items()
        for table, rows in content[schema].items()
        if table not in ("log", "log_head")
    }


async def logged(installation: Installation, organisation: ParticipantIdentifier, role: Role) -> list[str]:
    async with installation.open(organisation, role) as vault:  # type: ignore[call-overload]
        return [f"{entry.event} {entry.principal} {entry.purpose}" for entry in await vault.log(limit=10_000)]


@pytest.mark.parametrize("actor", sampled(strangers(OWN, THEIRS)))
@pytest.mark.parametrize("role", list(Role), ids=str)
async def test_a_stranger_opens_nothing_for_any_purpose(
    installation: Installation,
    hosted: tuple[ParticipantIdentifier, ParticipantIdentifier],
    role: Role,
    actor: str,
) -> None:
    """Access is denied and recorded in the victim's log without the stranger's name, and nothing changes."""
    own, theirs = hosted
    principal, seen_by = strangers(own, theirs)[actor], await superuser(installation)
    before = everything_but_the_log(seen_by, theirs)
    known = len(await logged(installation, theirs, role))
    for purpose in Purpose:
        with pytest.raises(VaultDenied):
            async with installation.gate.open(principal, theirs, role, purpose):
                pytest.fail("access was granted")
    new = [
        line
        for line in (await logged(installation, theirs, role))[known:]
        if line.startswith(VaultEvent.VAULT_OPENING_DENIED)
    ]
    assert [line.rpartition(" ")[2] for line in new] == [purpose.value for purpose in Purpose]
    assert all(f" {principal.kind}:" in line and own.value not in line for line in new)
    if principal.organisation == own.value:
        assert not [line for line in new if principal.name in line], (
            "the entry must not name an actor of another organisation"
        )
    assert everything_but_the_log(seen_by, theirs) == before


@pytest.mark.parametrize("actor", not_staff(OWN, THEIRS))
async def test_only_the_operators_staff_stands_at_the_desk(
    installation: Installation, hosted: tuple[ParticipantIdentifier, ParticipantIdentifier], actor: str
) -> None:
    own, theirs = hosted
    with pytest.raises(VaultDenied):
        async with installation.gate.operate(not_staff(own, theirs)[actor], theirs):
            pytest.fail("access was granted")
    last = (await logged(installation, theirs, Role.ACCESS_POINT))[-1]
    assert last.startswith(VaultEvent.VAULT_OPENING_DENIED)


@pytest.mark.parametrize("actor", {**not_staff(OWN, THEIRS), **strangers(OWN, THEIRS)})
async def test_only_a_worker_moves_an_organisation(
    installation: Installation, hosted: tuple[ParticipantIdentifier, ParticipantIdentifier], actor: str
) -> None:
    """An organisation's own system or user cannot, because tokens may be stolen: a move needs two persons."""
    own, theirs = hosted
    principal = {**not_staff(own, theirs), **strangers(own, theirs)}[actor]
    if principal == Principal(PrincipalKind.WORKER, principal.name, theirs.value):
        return
    for purpose in (Purpose.EXPORT, Purpose.IMPORT):
        with pytest.raises(VaultDenied):
            async with installation.gate.open(principal, theirs, Role.MESSAGE_SERVICE, purpose):
                pytest.fail("access was granted")
    with pytest.raises(VaultDenied):
        async with installation.gate.depart(principal, theirs, MessageServiceDeparture, {}):
            pytest.fail("access was granted")
    with pytest.raises(VaultDenied):
        async with installation.gate.arrive(principal, theirs, MessageServiceArrival):
            pytest.fail("access was granted")


@pytest.mark.parametrize("kind", list(PrincipalKind), ids=str)
@pytest.mark.parametrize("door", sorted(OPEN_TO_ORGANISATIONS))
async def test_who_is_not_hosted_is_answered_as_who_is(
    installation: Installation,
    hosted: tuple[ParticipantIdentifier, ParticipantIdentifier],
    kind: PrincipalKind,
    door: str,
) -> None:
    """A denial does not reveal whether an organisation is hosted here."""
    own, theirs = hosted
    told = set()
    for organisation in (theirs, ParticipantIdentifier("0203:nowhere.se")):
        principal = Principal(kind, "journal", own.value)
        if door == "operate" and kind is PrincipalKind.OPERATOR and organisation == theirs:
            continue
        with pytest.raises(VaultDenied) as caught:
            async with getattr(installation.gate, door)(principal, organisation, *MORE[door]):
                pytest.fail("access was granted")
        told.add((str(caught.value), repr(caught.value), caught.value.args))
    assert len(told) == 1


async def test_the_gate_of_a_process_for_one_organisation_knows_no_other(
    installation: Installation, hosted: tuple[ParticipantIdentifier, ParticipantIdentifier]
) -> None:
    """Isolation level `process`: not even a worker that may open everything reaches another's vault."""
    own, theirs = hosted
    vaults = [one.vault for role in Role if (one := installation.gate.registry.find(own, role))]
    gate = await Gate.start(installation.settings, only=vaults)
    try:
        assert {one.organisation for one in gate.registry.all()} == {own}
        for role in Role:
            async with gate.open(WORKER, own, role, Purpose.PROCESS) as vault:
                await vault.log_end()
            with pytest.raises(VaultDenied):
                async with gate.open(WORKER, theirs, role, Purpose.PROCESS):
                    pytest.fail("access was granted")
    finally:
        await gate.close()
