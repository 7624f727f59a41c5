"""Closing an organisation: obstacles, what is destroyed, what is signed, and recovery after a kill."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.administration import closing, keptlogs
from samdrift.administration.administration import Administration
from samdrift.administration.closing import Order, close
from samdrift.administration.dualcontrol import Persons
from samdrift.administration.events import AdminEvent
from samdrift.administration.keptlogs import (
    KeptLog,
    KeptState,
    KeptUnusable,
    hand_over,
    kept_logs,
    remove_over,
)
from samdrift.attestation.errors import MoveError
from samdrift.attestation.signatures import signed as sign
from samdrift.audit.logverifying import LogVerifier
from samdrift.audit.notes import Algorithm, VerifierKey
from samdrift.audit.policies import Policy
from samdrift.config.errors import Unusable
from samdrift.contracts.messages import MessageStatus
from samdrift.contracts.principals import Purpose, Role
from samdrift.evidence.logexport import verify_log
from samdrift.evidence.logreading import entries_of
from samdrift.keystore.custody import CustodyError
from samdrift.keystore.interface import OPERATOR_KEYS, KeyStore
from samdrift.keystore.keyfiles import KeyName
from samdrift.vault import databases
from samdrift.vault.errors import VaultError, VaultUnavailable
from samdrift.vault.inorder import out_of_order
from samdrift.vault.openkeys import open_keys
from samdrift.vault.provision import Provisioner
from samdrift.vault.registry import RegistrationState
from samdrift.wire.identifiers import ParticipantIdentifier
from tests import pki
from tests.sizes import sampled
from tests.unit.administration.closings import (
    DECISION,
    PARTY,
    PERSONS,
    administration,
    certify_operator,
    suspended,
)
from tests.unit.cli.commandline import in_process
from tests.vaults import MINUTE, NOW, Installation, body, message, submitted, until

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE


@pytest.fixture
def keys(installation: Installation) -> KeyStore:
    """Return the key store, with a certificate of the operator."""
    store = open_keys(installation.settings)
    certify_operator(store)
    return store


@pytest.fixture
def place(installation: Installation, keys: KeyStore, tmp_path: Path) -> Administration:
    return administration(installation, keys, tmp_path)


async def refusal(place: Administration, order: Order, persons: Persons | None = PERSONS) -> str:
    with pytest.raises(Unusable) as caught:
        await close(place, order, persons, lambda: NOW)
    return str(caught.value)


async def with_content(installation: Installation, organisation: ParticipantIdentifier) -> None:
    """Store a finished message at the message service."""
    record = message()
    async with installation.open(organisation, MT) as vault:
        assert await vault.create_outgoing(record, await body(vault), now=NOW, lease=MINUTE)
        ended = MessageStatus.ACCEPTED
        assert await vault.set_status(
            record.id, ended, [], now=NOW, deadline=None, direction=record.direction
        )


async def test_what_stands_in_the_way_is_told_and_changes_nothing(
    installation: Installation, place: Administration
) -> None:
    organisation, part = await installation.organisation(), await installation.organisation()
    order = Order(organisation, DECISION)
    nobody = ParticipantIdentifier.parse("0203:ingen.se")
    assert "has no vault here" in await refusal(place, Order(nobody, DECISION))
    assert f"first samdrift org suspend {organisation}" in await refusal(place, order)
    await suspended(installation, organisation, exported=False)
    assert "or --without-export" in await refusal(place, order)
    part_of = SimpleNamespace(identifier=part, part_of=organisation)
    place.config.organisations.append(part_of)  # type: ignore[attr-defined]
    assert f"close them first: {part}" in await refusal(place, Order(organisation, DECISION, False, True))
    place.config.organisations.clear()  # type: ignore[attr-defined]
    without = Order(organisation, DECISION, without_export=True)
    assert "closing needs two people" in await refusal(place, without, None)
    async with installation.open(organisation, AP, Purpose.CLOSE) as vault:
        await submitted(vault)
    assert "something under way (1 in role ap)" in await refusal(place, without)
    assert await installation.provisioner.closings.last(organisation) is None


@pytest.mark.parametrize("role", sampled([Role.MESSAGE_CLIENT, Role.GOVERNANCE]), ids=str)
async def test_public_records_that_were_not_handed_over_are_destroyed_by_a_decision_alone(
    installation: Installation, place: Administration, role: Role
) -> None:
    """Two persons agree to that explicitly, and the certificate states how many records there were."""
    organisation = await installation.organisation()
    async with installation.open(organisation, role) as vault:  # type: ignore[call-overload]
        vault.keep_record("one", now=NOW)
        vault.keep_record("another", now=NOW)
        vault.keep_record("another", now=NOW)
    await suspended(installation, organisation)
    told = await refusal(place, Order(organisation, DECISION, also_unfinished=True))
    assert f"not handed over (2 in role {role})" in told
    assert "--also-not-handed-over" in told
    assert await installation.provisioner.closings.last(organisation) is None
    decided = Order(organisation, DECISION, also_not_handed_over=True)
    assert "also public records that were not handed over; decided" in decided.matter.text
    verdict = closing.verify(await close(place, decided, PERSONS, lambda: NOW))
    assert verdict.facts is not None
    assert {one["role"]: one["not_handed_over"] for one in verdict.facts["vaults"]} == {
        each.value: 2 if each is role else 0 for each in Role
    }
    assert "allmänna handlingar som inte hade överlämnats: 2" in verdict.text


@pytest.mark.parametrize("role", sampled([Role.MESSAGE_CLIENT, Role.GOVERNANCE]), ids=str)
async def test_what_was_handed_over_keeps_nobody_from_closing(
    installation: Installation, place: Administration, role: Role
) -> None:
    organisation = await installation.organisation()
    async with installation.open(organisation, role) as vault:  # type: ignore[call-overload]
        vault.keep_record("one", now=NOW)
    async with installation.open(organisation, role) as vault:  # type: ignore[call-overload]
        assert await vault.release_record("one")
    await suspended(installation, organisation)
    assert closing.verify(await close(place, Order(organisation, DECISION), PERSONS, lambda: NOW)).valid


async def test_one_person_alone_closes_nothing(installation: Installation, place: Administration) -> None:
    organisation = await installation.organisation()
    await suspended(installation, organisation)
    with pytest.raises(CustodyError, match="another custodian runs"):
        await close(place, Order(organisation, DECISION), Persons(PERSONS.first), lambda: NOW)
    assert {one.state for one in await place.provisioner.closings.stock(organisation)} == {
        RegistrationState.SUSPENDED
    }


async def test_a_closed_organisation_leaves_a_certificate_and_nothing_else(
    installation: Installation, place: Administration
) -> None:
    organisation, other = await installation.organisation(), await installation.organisation()
    await with_content(installation, organisation)
    await with_content(installation, other)
    vaults = {
        one.role: one.vault for one in installation.gate.registry.all() if one.organisation == organisation
    }
    place.keys.create_key(vaults[MT], KeyName.SIGNING, pki.name("Kommun"), 2048)
    await suspended(installation, organisation)
    signed = await close(place, Order(organisation, DECISION), PERSONS, lambda: NOW)
    verdict = closing.verify(signed)
    assert verdict.valid
    assert verdict.facts is not None
    assert verdict.facts["decision"] == DECISION
    assert verdict.facts["operator"] == PARTY
    assert verdict.facts["approved_by"] == ["anna", "bo"]
    assert verdict.facts["log_exported"]
    (mt,) = (one for one in verdict.facts["vaults"] if one["role"] == "mt")
    assert (mt["records"], mt["bodies"]) == (1, 1)
    assert mt["keys"] == [{"key": "signing", "number": 1, "sha256": None}]
    assert mt["log"]["length"] > 0
    exported = "Loggen exporterades innan den förstördes."
    for words in ("DESTRUKTIONSINTYG", DECISION, "anna och bo", organisation.value, exported):
        assert words in verdict.text
    assert not any(place.keys.has_data_key(vault) for vault in vaults.values())
    await until(lambda: installation.gate.registry.find(organisation, MT) is None)
    assert await close(place, Order(organisation, DECISION), None, lambda: NOW) == signed
    (told,) = [
        entry
        for entry in await installation.gate.read_operator_log(limit=100_000)
        if entry.event == AdminEvent.ORGANISATION_CLOSED and entry.ids["organisation"] == organisation.value
    ]
    assert told.ids["decision"] == DECISION
    async with installation.open(other, MT) as vault:
        assert len(await vault.messages()) == 1


async def test_what_is_under_way_ends_with_a_status_and_a_reason(
    installation: Installation, place: Administration
) -> None:
    organisation = await installation.organisation()
    record = message()
    async with installation.open(organisation, MT) as vault:
        assert await vault.create_outgoing(record, await body(vault), now=NOW, lease=MINUTE)
    async with installation.open(organisation, AP) as ap:
        transfer = await submitted(ap)
    await suspended(installation, organisation)
    order = Order(organisation, DECISION, also_unfinished=True)
    verdict = closing.verify(await close(place, order, PERSONS, lambda: NOW))
    assert verdict.facts is not None
    ended = {(one["what"], one["id"], one["status"]) for one in verdict.facts["unfinished"]}
    assert ended == {
        ("transfer", transfer.envelope.envelope_id, "failed"),
        ("message", record.id, "MESSAGE_EXCHANGE_ERROR"),
    }
    assert all(DECISION in one["reason"] for one in verdict.facts["unfinished"])


@pytest.mark.parametrize("step", sampled(["destroy", "drop", "sign", "end"]))
async def test_a_closing_that_was_cut_short_goes_on_without_the_two_persons(
    installation: Installation, place: Administration, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    organisation = await installation.organisation()
    await with_content(installation, organisation)
    await suspended(installation, organisation)
    order = Order(organisation, DECISION)

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        where: dict[str, tuple[Any, str]] = {
            "destroy": (type(place.keys), "destroy"),
            "drop": (place.provisioner, "drop"),
            "sign": (closing, "certificate"),
            "end": (place.provisioner.closings, "end"),
        }
        patch.setattr(*where[step], killed)
        with pytest.raises(Killed):
            await close(place, order, PERSONS, lambda: NOW)
    await until(lambda: not installation.gate.registry.serves(organisation, MT))
    last = await place.provisioner.closings.last(organisation)
    assert last is not None
    assert last.certificate is None
    facts = closing.verify(await close(place, order, None, lambda: NOW)).facts
    assert facts is not None
    assert facts["vaults"] == json.loads(last.facts)["vaults"]
    assert await place.provisioner.closings.stock(organisation) == ()


async def refused(work: Awaitable[object]) -> Exception | None:
    """Return the error with which the database refuses some work; ``None`` if it does not."""
    try:
        await work
    except (VaultError, psycopg.Error) as error:
        return error
    return None


@pytest.mark.parametrize("gone", ["schema", "database"])
async def test_a_closing_that_was_killed_while_it_removed_a_vault_goes_on(
    installation: Installation,
    place: Administration,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    gone: str,
) -> None:
    """What is removed outside the registry's transaction is gone, although the registry still names it."""
    organisation = await installation.organisation()
    await suspended(installation, organisation)
    provisioner = place.provisioner
    vaults = [one for one in await provisioner.registrations() if one.organisation == organisation]
    own = vaults[0].database
    assert own is not None
    remove_schema, remove_database = provisioner._end, databases.drop

    class Killed(BaseException):
        pass

    async def end(connection: Any, schema: str, login: str) -> None:
        await remove_schema(connection, schema, login)
        if login in [one.login for one in vaults if one.role is Role.GOVERNANCE]:
            raise Killed

    async def drop(connection: Any, name: str) -> None:
        await remove_database(connection, name)
        if name == own:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(*((provisioner, "_end", end) if gone == "schema" else (databases, "drop", drop)))
        with pytest.raises(Killed):
            await close(place, Order(organisation, DECISION), PERSONS, lambda: NOW)
    assert await refused(provisioner.install()) is None
    assert own not in caplog.text, "nobody is told to restore what is being destroyed"
    async with provisioner.beside() as connection:
        disordered = await out_of_order(connection, provisioner.database)
    assert not {one.vault for one in vaults} & {one.vault for one in disordered}

    assert await refused(close(place, Order(organisation, DECISION), None, lambda: NOW)) is None
    last = await provisioner.closings.last(organisation)
    assert last is not None
    assert last.certificate is not None
    assert not {one.vault for one in vaults} & {one.vault for one in await provisioner.registrations()}
    left = "SELECT name FROM registry.databases UNION SELECT datname FROM pg_database"
    assert (own,) not in await provisioner._rows(left)
    names = [one.login for one in vaults]
    assert not await provisioner._rows("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", names)


async def test_an_organisation_that_comes_back_can_be_closed_again(
    installation: Installation, place: Administration
) -> None:
    organisation = await installation.organisation()
    await suspended(installation, organisation)
    first = await close(place, Order(organisation, DECISION), PERSONS, lambda: NOW)
    await until(lambda: installation.gate.registry.find(organisation, MT) is None)
    await installation.provisioner.add_organisation(organisation, tuple(Role))
    await installation.known(organisation, *Role)
    await suspended(installation, organisation)
    again = await close(place, Order(organisation, "dnr 2027/1"), PERSONS, lambda: NOW)
    assert again != first
    assert b"dnr 2027/1" in again


async def test_an_operator_without_an_access_point_signs_under_the_name_of_its_federation(
    installation: Installation, place: Administration
) -> None:
    """The organisation has only its messages with this operator."""
    organisation = await installation.organisation()
    await suspended(installation, organisation)
    place.config.access_point = None  # type: ignore[misc]
    verdict = closing.verify(await close(place, Order(organisation, DECISION), PERSONS, lambda: NOW))
    assert verdict.facts is not None
    assert verdict.facts["operator"] == "urn:test"
    assert "Driftleverantör: urn:test" in verdict.text


@pytest.mark.parametrize(
    ("form", "text"), [("another form", "destroyed"), (closing.FORM, 7), (closing.FORM, None)]
)
def test_a_signed_document_of_another_form_is_no_certificate(keys: KeyStore, form: str, text: object) -> None:
    """The operator signs other kinds of documents as well."""
    stated = {"form": form, "ended_at": NOW.isoformat(timespec="seconds")}
    document = {"certificate": stated, "text": text}
    key = keys.signing_key(OPERATOR_KEYS, KeyName.ACCESS_POINT)
    signed = json.dumps(document | {"signature": sign(document, key)}).encode()
    assert closing.verify(signed).reason == "is not a certificate of destruction"


def test_a_certificate_that_was_changed_does_not_hold(keys: KeyStore) -> None:
    facts: dict[str, Any] = {
        "organisation": "0203:habo.se",
        "operator": PARTY,
        "decision": DECISION,
        "approved_by": ["anna", "bo"],
        "begun_at": NOW.isoformat(),
        "log_exported": False,
        "vaults": [],
        "unfinished": [],
        "key_backups": [],
    }
    key = keys.signing_key(OPERATOR_KEYS, KeyName.ACCESS_POINT)
    signed = closing.certificate(facts, NOW, key)
    assert closing.verify(signed).valid
    for was, becomes in ((b"habo", b"hebo"), (b"2026/123", b"2026/124"), (b"DESTRUKTION", b"DESTRUCTION")):
        verdict = closing.verify(signed.replace(was, becomes))
        assert (verdict.valid, verdict.facts) == (False, None)
        assert "changed after it was signed" in verdict.reason
    timeless = {"form": closing.FORM, "ended_at": "yesterday"}, {"form": closing.FORM}
    forged = [{"certificate": each, "text": "destroyed"} for each in timeless]
    signed_by_anybody = [json.dumps(each | {"signature": sign(each, key)}).encode() for each in forged]
    for other in (b"", b"[]", b"{}", b'{"certificate": 1, "text": "", "signature": {}}', *signed_by_anybody):
        assert closing.verify(other).reason == "is not a certificate of destruction"


async def test_an_officer_who_forgot_the_passphrase_keeps_nothing_from_being_destroyed(
    installation: Installation, place: Administration
) -> None:
    organisation = await installation.organisation()
    async with installation.open(organisation, AP) as vault:
        await submitted(vault)
    vaults = [one.vault for one in installation.gate.registry.all() if one.organisation == organisation]
    for vault_id in vaults:
        open_keys(installation.settings).relock(vault_id, b"a passphrase that is forgotten")
    await suspended(installation, organisation, exported=False)
    order = Order(organisation, DECISION, also_unfinished=True, without_export=True)
    verdict = closing.verify(await close(place, order, PERSONS, lambda: NOW))
    assert verdict.valid
    assert "Loggen förstördes utan att ha exporterats, enligt beslutet." in verdict.text
    assert not any(place.keys.has_data_key(vault_id) for vault_id in vaults)


# --- logs that are kept ---------------------------------------------------------------------------------


async def closed(
    installation: Installation, place: Administration, organisation: ParticipantIdentifier
) -> dict[str, Any]:
    """Close with the real clock, which its log entries also use, and return the certificate's facts."""
    await suspended(installation, organisation, at=datetime.now(UTC))
    signed = await close(place, Order(organisation, DECISION), PERSONS, lambda: datetime.now(UTC))
    facts = closing.verify(signed).facts
    assert facts is not None
    return dict(facts)


async def kept_of(place: Administration, organisation: ParticipantIdentifier, days: int = 0) -> list[KeptLog]:
    at = datetime.now(UTC) + timedelta(days=days)
    found = kept_logs(place.config, await place.provisioner.closings.all(), at)
    return [one for one in found if one.organisation == organisation.value]


async def test_the_logs_with_transfers_outlive_their_vaults_and_hold_for_whoever_reads_them(
    installation: Installation, place: Administration
) -> None:
    """The file contains the log's own key, so that verification needs no vault, which no longer exists."""
    organisation = await installation.organisation()
    async with installation.open(organisation, AP) as vault:
        vault.record(APEvent.AP_TRANSFER_QUEUED, envelope="7", transfer="8")
    async with installation.open(organisation, AP) as vault:
        await vault.tree.sign(datetime.now(UTC))
        (key,) = [each.key for each in await vault.tree.keys()]
    facts = await closed(installation, place, organisation)
    kept = {one.role: one for one in await kept_of(place, organisation)}
    assert {role: one.state for role, one in kept.items()} == dict.fromkeys((AP, MT), KeptState.THERE)
    assert [one["first_wrong"] for one in facts["logs_kept"]] == [None, None]
    file = kept[AP].file
    assert file is not None
    assert file.stat().st_mode & 0o777 == 0o600
    policy = Policy.parse(f"log {key}\nquorum none\n".encode())
    verdict = verify_log(file, LogVerifier(policy, int(time.time())))
    assert (verdict.holds, verdict.unproved) == (True, 0)
    found = [entry for entry in entries_of(file) if entry.ids.get("envelope") == "7"]
    assert [one.event for one in found] == [APEvent.AP_TRANSFER_QUEUED]
    assert kept[AP].until >= datetime.now(UTC) + timedelta(days=365)
    digests = {one["role"]: one["sha256"] for one in facts["logs_kept"]}
    text = closing._in_swedish({**facts, "ended_at": NOW.isoformat()})
    assert all(f"SHA-256 {each}" in text for each in digests.values())


async def test_a_log_that_continues_under_another_name_after_a_refusal_is_kept_and_holds(
    installation: Installation, place: Administration, tmp_path: Path
) -> None:
    """Its key then has two names, and signs under the later one."""
    organisation = await installation.organisation()
    witness = VerifierKey("witness.example", Algorithm.COSIGNATURE, bytes(32))
    now = datetime.now(UTC)
    async with installation.open(organisation, AP) as vault:
        state = await vault.tree.sign(now)
        assert await vault.tree.refuse(await vault.tree.state(), witness, "ahead", 99, now)
        assert await vault.tree.resolve("a backup was restored", "kim", "alex", now)
        assert (await vault.tree.sign(now)).origin != state.origin
        names = [VerifierKey.parse(each.key).name for each in await vault.tree.keys()]
        keys = [each.key for each in await vault.tree.keys()]
    assert len(set(names)) == 2
    facts = await closed(installation, place, organisation)
    assert [(one["holds"], one["first_wrong"]) for one in facts["logs_kept"]] == [(True, None)] * 2
    (file,) = [one.file for one in await kept_of(place, organisation) if one.role is AP]
    assert file is not None
    policy = tmp_path / "organisation.policy"
    policy.write_text(f"log {keys[-1]}\nquorum none\n")
    found = in_process("log", "verify", file, "--policy", policy, "--max-age", "0", "--json")
    assert (found.status, found.document["holds"], found.document["unproved"]) == (0, True, 0)


async def test_a_kept_log_that_was_changed_or_is_gone_shows(
    installation: Installation, place: Administration
) -> None:
    organisation = await installation.organisation()
    await closed(installation, place, organisation)
    first, second = [one.file for one in await kept_of(place, organisation)]
    assert first is not None
    assert second is not None
    first.write_bytes(first.read_bytes() + b"\0")
    second.unlink()
    states = [one.state for one in await kept_of(place, organisation)]
    assert states == [KeptState.CHANGED, KeptState.MISSING]


async def test_a_kept_log_is_removed_after_its_time_and_not_before(
    installation: Installation, place: Administration
) -> None:
    organisation = await installation.organisation()
    await closed(installation, place, organisation)
    assert await remove_over(place, await kept_of(place, organisation, 365), "anna", "test") == 0
    before = await kept_of(place, organisation, 367)
    assert [one.state for one in before] == [KeptState.OVER] * 2
    assert await remove_over(place, before, "anna", "yearly") == 2
    assert not any(one.file is not None and one.file.exists() for one in before)
    assert await remove_over(place, before, "anna", "yearly") == 0
    removed = [
        dict(entry.ids)
        for entry in await installation.gate.read_operator_log(limit=100_000)
        if entry.event == AdminEvent.LOG_KEPT_REMOVED
    ]
    said = {"organisation": organisation.value, "by": "anna", "reason": "yearly"}
    assert sorted(removed, key=lambda ids: ids["role"]) == [said | {"role": role} for role in ("ap", "mt")]


async def receipts_of(
    installation: Installation, organisation: ParticipantIdentifier
) -> list[dict[str, str]]:
    entries = await installation.gate.read_operator_log(limit=100_000)
    found = [dict(one.ids) for one in entries if one.event == AdminEvent.LOG_KEPT_HANDED_OVER]
    return [one for one in found if one["organisation"] == organisation.value]


async def test_kept_logs_are_handed_over_with_a_receipt_in_the_operators_log(
    installation: Installation, place: Administration, tmp_path: Path
) -> None:
    """This includes logs that were not removed although their retention has ended."""
    organisation = await installation.organisation()
    facts = await closed(installation, place, organisation)
    kept = await kept_of(place, organisation, 367)
    given = await hand_over(place, kept, tmp_path / "out", "Kim", "anna", "dnr 7")
    files = {one.role.value: one.file.read_bytes() for one in given}
    assert files == {one.role.value: one.file.read_bytes() for one in kept if one.file is not None}
    assert all(one.file.stat().st_mode & 0o777 == 0o600 for one in given)
    said = {"organisation": organisation.value, "to": "Kim", "by": "anna", "reason": "dnr 7"}
    assert await receipts_of(installation, organisation) == [
        said | {"role": one["role"], "sha256": one["sha256"], "entries": str(one["entries"])}
        for one in facts["logs_kept"]
    ]
    with pytest.raises(MoveError, match="already exists"):
        await hand_over(place, kept, tmp_path / "out", "Kim", "anna", "dnr 7")


@pytest.mark.parametrize("fault", sampled(["changed", "missing"]))
async def test_a_kept_log_that_is_not_as_it_was_written_is_not_handed_over_nor_the_others(
    installation: Installation, place: Administration, tmp_path: Path, fault: str
) -> None:
    organisation = await installation.organisation()
    await closed(installation, place, organisation)
    kept = await kept_of(place, organisation)
    last = kept[-1].file
    assert last is not None
    if fault == "changed":
        last.write_bytes(last.read_bytes() + b"\0")
    else:
        last.unlink()
    with pytest.raises(KeptUnusable, match="was changed after its closing wrote it"):
        await hand_over(place, kept, tmp_path / "out", "Kim", "anna", "dnr 7")
    assert await receipts_of(installation, organisation) == []
    assert not (tmp_path / "out").exists()
    with pytest.raises(KeptUnusable, match="no log of that organisation is kept"):
        await hand_over(place, [], tmp_path / "out", "Kim", "anna", "dnr 7")


async def test_without_a_receipt_no_copy_stays(
    installation: Installation, place: Administration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    organisation = await installation.organisation()
    await closed(installation, place, organisation)
    kept = await kept_of(place, organisation)

    async def away(*arguments: object, **facts: str) -> None:
        raise VaultUnavailable

    monkeypatch.setattr(type(installation.gate), "operator_log", away)
    with pytest.raises(VaultUnavailable):
        await hand_over(place, kept, tmp_path / "out", "Kim", "anna", "dnr 7")
    assert [*(tmp_path / "out").iterdir()] == []


async def test_a_log_that_nobody_can_read_is_not_kept_and_the_certificate_says_so(
    installation: Installation, place: Administration
) -> None:
    organisation = await installation.organisation()
    vaults = [one.vault for one in installation.gate.registry.all() if one.organisation == organisation]
    for vault_id in vaults:
        open_keys(installation.settings).relock(vault_id, b"a passphrase that is forgotten")
    await suspended(installation, organisation, exported=False)
    order = Order(organisation, DECISION, without_export=True)
    verdict = closing.verify(await close(place, order, PERSONS, lambda: NOW))
    assert "kunde inte sparas" in verdict.text
    assert {one.state for one in await kept_of(place, organisation)} == {KeptState.NEVER}


async def test_what_a_closing_wrote_that_was_never_on_record_is_written_again(
    installation: Installation, place: Administration, monkeypatch: pytest.MonkeyPatch
) -> None:
    organisation = await installation.organisation()
    await suspended(installation, organisation)

    async def killed(*arguments: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Provisioner, "begin_closing", killed)
        with pytest.raises(RuntimeError):
            await close(place, Order(organisation, DECISION), PERSONS, lambda: NOW)
    assert await kept_of(place, organisation) == []
    await close(place, Order(organisation, DECISION), PERSONS, lambda: NOW)
    assert {one.state for one in await kept_of(place, organisation)} == {KeptState.THERE}


async def test_a_log_that_cannot_be_kept_stops_the_closing(
    installation: Installation, place: Administration
) -> None:
    organisation = await installation.organisation()
    await suspended(installation, organisation)
    folder = keptlogs.folder_of(place.config)
    folder.write_text("a file where the folder would be")
    assert "cannot be kept" in await refusal(place, Order(organisation, DECISION))
    assert await installation.provisioner.closings.last(organisation) is None
