"""Disposal: eligible conversations, deciders, actual removal, and the remains."""

from __future__ import annotations

import asyncio
import hashlib
import re
from asyncio import Event
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Purpose, Role
from samdrift.messageclient.desk import Changed, NotHere
from samdrift.messageclient.disposal import running
from samdrift.messageclient.disposal.desk import Decided, DisposalDesk, SecondPerson, UnderWay
from samdrift.messageclient.disposal.pages import _table
from samdrift.messageclient.disposal.running import Disposing, dispose_agreed
from samdrift.messageclient.mail import DraftContent, Folder, Recipient
from samdrift.messageclient.scope import Scope
from samdrift.rights import Right
from samdrift.vault import maildisposal
from samdrift.vault.errors import UnknownRecord, VaultLocked, VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import superuser, vault_login
from tests.unit.messageclient.desks import ALL, Office
from tests.unit.messageclient.wholerole import ENVIRONMENT, SOC, Whole, deleting_service, hrefs, whole_role
from tests.vaults import Installation

ROLES = (Role.MESSAGE_CLIENT,)
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 2000
YEAR = 365
RECIPIENT = Recipient("0203:mullsjo.se", "registrator:0203:mullsjo.se")


class Archive(Office):
    """An office whose people dispose of old mail; ``later`` is after the database's own time."""

    def disposal(self, person: str = "anna") -> DisposalDesk:
        desk = self.desk(person)
        scope: Scope = desk._scope  # type: ignore[attr-defined]
        return DisposalDesk(scope)

    def later(self) -> None:
        """Let more than a year pass since the times recorded in the database."""
        self.now = max(self.now, datetime.now(UTC)) + timedelta(days=YEAR + 2)

    async def old(self, label: str = "Gammalt", **message: object) -> str:
        """Make a conversation that was read and is done."""
        await self.receives(label=label, **message)
        line = (await self.desk().lines(Folder.OPEN, "box")).lines[0]
        version = (await self.desk().conversation(line.id)).version
        await self.desk().set_done(line.id, version, done=True)
        return line.id

    async def agreed(self) -> str:
        """Agree to a disposal of everything that is due, which is not carried out yet."""
        await self.disposal().set_rule("box", "done", YEAR, "KS 2026/9")
        self.later()
        disposal = await self.disposal().propose("box")
        await self.disposal("bo").decide("box", disposal, agreed=True)
        return disposal

    async def done(self) -> None:
        vaults = self.installation.gate.worker("disposal", Role.MESSAGE_CLIENT)
        await dispose_agreed(vaults, self.organisation, self.clock)

    async def there(self, conversation: str) -> bool:
        async with self.vault() as vault:
            return bool(await vault.conversations_by_id([conversation]))


@pytest_asyncio.fixture
async def office(installation: Installation, organisation: ParticipantIdentifier) -> AsyncIterator[Archive]:
    opened = Archive(installation, organisation)
    await opened.opened()
    yield opened


async def test_what_two_agreed_to_goes_for_real_and_leaves_ids_and_digests(office: Archive) -> None:
    """This covers rows and objects: the file is large enough for the object store."""
    conversation = await office.old(
        label="Planterat", text="Planterad text", files=(("p.pdf", "application/pdf", PDF),)
    )
    (message,) = (await office.desk().conversation(conversation)).messages
    await office.desk().add_note(conversation, "Planterad anteckning")
    disposal = await office.agreed()
    assert await office.there(conversation), "nothing may be destroyed before the worker does it"
    await office.done()
    assert not await office.there(conversation)
    login = await vault_login(office.installation, office.organisation, Role.MESSAGE_CLIENT)
    rows = (await superuser(office.installation)).snapshot(login.schema)
    for table in ("conversations", "messages", "files", "notes", "readings", "bodies", "finished"):
        assert rows[table][0] == 0, table
    stored = office.installation.settings.objects
    assert not [path for path in stored.rglob("*") if path.is_file() and login.vault in str(path)]
    one, found, _ = await office.disposal().disposal("box", disposal)
    assert (found.stage, found.gone, found.kept, found.messages, found.files) == ("done", 1, 0, 1, 1)
    assert one.under_way is None
    (record,) = [each async for each in await office.disposal().record("box", disposal)]
    assert record.content["message_id"] == message.message_id
    assert record.content["files"] == [{"size": len(PDF), "sha256": hashlib.sha256(PDF).hexdigest()}]
    assert "Planterat" not in str(record)
    events = [event for event, _ in await office.events() if event.startswith("mk:disposal")]
    assert events == [
        f"mk:disposal:{act}" for act in ("ruled", "proposed", "agreed", "gone", "done", "shown")
    ]


async def test_what_went_is_not_fetched_again_from_a_service_that_still_has_it(office: Archive) -> None:
    conversation = await office.old()
    await office.agreed()
    await office.done()
    await office.receives(label="Nytt")
    assert not await office.there(conversation)
    assert [line.subject for line in (await office.desk().lines(Folder.OPEN, "box")).lines] == ["Nytt"]


# --- what may not go --------------------------------------------------------------------------------------


async def unread(office: Archive) -> str:
    """Make a done conversation with a later unread message, which is open again, and registered."""
    thread = "11111111-1111-4111-8111-111111111111"
    conversation = await office.old(conversation=thread)
    await office.receives(label="Mer", conversation=thread)
    version = (await office.desk().lines(Folder.UNREAD, "box")).lines[0].version
    await office.desk().set_done(conversation, version, done=True)
    return conversation


async def not_done(office: Archive) -> str:
    conversation = await office.old()
    version = (await office.desk().conversation(conversation)).version
    await office.desk().set_done(conversation, version, done=False)
    return conversation


async def held(office: Archive) -> str:
    conversation = await office.old()
    version = (await office.desk().conversation(conversation)).version
    await office.desk().hold(conversation, version, "Överklagat")
    return conversation


async def with_a_draft(office: Archive) -> str:
    conversation = await office.old()
    (message,) = (await office.desk().conversation(conversation)).messages
    await office.desk().reply(message.id)
    return conversation


async def not_final(office: Archive) -> str:
    """Make a conversation whose sent message waits in its window or the outbox."""
    desk = office.desk()
    draft = await desk.new_draft("box", DraftContent((RECIPIENT,), "Hej", "Text"))
    await desk.submit(draft.id, draft.version)
    (line,) = (await desk.lines(Folder.SENT, "box")).lines
    await desk.set_done(line.id, line.version, done=True)
    return line.id


@pytest.mark.parametrize("prepared", [unread, not_done, held, with_a_draft, not_final])
async def test_nothing_goes_that_is_unread_held_written_in_or_not_final(
    office: Archive, prepared: object
) -> None:
    conversation = await prepared(office)  # type: ignore[operator]
    other = await office.old("Gammalt och klart")
    disposal = await office.agreed()
    _, found, _ = await office.disposal().disposal("box", disposal)
    assert found.conversations == 1
    await office.done()
    assert (await office.there(conversation), await office.there(other)) == (True, False)


@pytest.mark.parametrize(
    ("status", "followed", "due"),
    [
        ("ACCEPTED", False, 1),
        ("MESSAGE_EXCHANGE_ERROR", False, 1),
        ("WAITING_FOR_RECEIPT", False, 1),
        ("REJECTED", False, 1),
        ("ERROR", False, 1),
        (None, False, 1),
        ("WAITING_FOR_RECEIPT", True, 0),
        (None, True, 0),
    ],
)
async def test_what_was_sent_is_due_when_its_status_is_no_longer_followed(
    office: Archive, status: str | None, followed: bool, due: int
) -> None:
    """A message without a receipt is followed for seven days."""
    conversation = await not_final(office)
    office.pass_by(60)
    async with office.vault() as vault:
        await vault.end_windows(now=office.now)
        for mail in await vault.mail_of(conversation):
            again = office.now if followed else None
            await vault.move_mail(
                mail, stage="handed-over", status=status, now=office.now, due=again, attempts=1
            )
    await office.disposal().set_rule("box", "done", YEAR, "KS 2026/9")
    office.later()
    _, found = await office.disposal().mailbox("box")
    assert found is not None
    assert found.conversations == due


async def test_a_sent_message_that_cannot_be_shown_is_due(office: Archive) -> None:
    """Another client sent it; its status is not followed here."""
    conversation = await not_final(office)
    office.pass_by(60)
    async with office.vault() as vault:
        await vault.end_windows(now=office.now)
        for mail in await vault.mail_of(conversation):
            await vault.move_mail(
                mail, stage="unreadable", status=None, now=office.now, due=office.now, attempts=1
            )
    await office.disposal().set_rule("box", "done", YEAR, "KS 2026/9")
    office.later()
    _, found = await office.disposal().mailbox("box")
    assert found is not None
    assert found.conversations == 1


async def test_nothing_goes_before_its_time(office: Archive) -> None:
    await office.old()
    await office.disposal().set_rule("box", "done", YEAR, "KS 2026/9")
    office.now = datetime.now(UTC) + timedelta(days=YEAR - 1)
    _, due = await office.disposal().mailbox("box")
    assert due is not None
    assert due.conversations == 0
    with pytest.raises(UnderWay):
        await office.disposal().propose("box")


async def test_the_time_may_be_counted_from_the_registration(office: Archive) -> None:
    conversation, other = await office.old("Registrerat"), await office.old("Bara klart")
    version = (await office.desk().conversation(conversation)).version
    await office.desk().register(conversation, version, "SN 2026/1")
    await office.disposal().set_rule("box", "registered", YEAR, "KS 2026/9")
    office.later()
    disposal = await office.disposal().propose("box")
    await office.disposal("bo").decide("box", disposal, agreed=True)
    await office.done()
    assert (await office.there(conversation), await office.there(other)) == (False, True)
    (record,) = [each async for each in await office.disposal().record("box", disposal)]
    assert record.content["registered"] == "SN 2026/1"


@pytest.mark.parametrize("prepared", ["held", "new message", "draft", "moved"])
async def test_what_comes_in_between_keeps_a_conversation(office: Archive, prepared: str) -> None:
    """A hold wins, placed while the proposal waits or after it was agreed to; so does anything new."""
    thread = "11111111-1111-4111-8111-111111111111"
    conversation = await office.old(conversation=thread)
    disposal = await office.agreed()
    one = await office.desk().conversation(conversation)
    if prepared == "held":
        await office.desk("bo").hold(conversation, one.version, "Begärt ut")
    elif prepared == "new message":
        await office.receives(label="Nytt i tråden", conversation=thread)
    elif prepared == "draft":
        await office.desk().reply(one.messages[0].id)
    else:
        await office.desk("bo").move(conversation, one.version, "other")
    await office.done()
    assert await office.there(conversation)
    _, found, _ = await office.disposal().disposal("box", disposal)
    assert (found.stage, found.gone, found.kept) == ("done", 0, 1)


async def test_a_hold_that_comes_after_is_told_that_nothing_is_there(office: Archive) -> None:
    conversation = await office.old()
    version = (await office.desk().conversation(conversation)).version
    await office.agreed()
    await office.done()
    with pytest.raises(NotHere):
        await office.desk().hold(conversation, version, "För sent")


async def test_a_hold_ends_and_its_reason_is_not_in_the_log(office: Archive) -> None:
    conversation = await held(office)
    shown = await office.desk("bo").conversation(conversation)
    assert shown.held is not None
    assert (shown.held.reason, shown.held.person.name) == ("Överklagat", "Anna Ek")
    with pytest.raises(Changed):
        await office.desk().hold(conversation, shown.version - 1, "x")
    await office.desk().hold(conversation, shown.version, "")
    assert (await office.desk().conversation(conversation)).held is None
    logged = [ids for event, ids in await office.events() if event == "mk:conversation:held"]
    assert [one["action"] for one in logged] == ["held", "ended"]
    assert "verklagat" not in str(logged)


async def test_files_that_were_sent_to_several_stay_with_the_message_that_is_left(office: Archive) -> None:
    """One draft became two messages in two conversations, and one of these is disposed of."""
    desk = office.desk()
    other = replace(RECIPIENT, address="annan:0203:mullsjo.se")
    draft = await desk.new_draft("box", DraftContent((RECIPIENT, other), "Hej", "Text"))
    upload = await desk.upload(draft.id, "p.pdf", "application/pdf")
    await upload.write(PDF)
    await upload.close()
    await desk.submit(draft.id, (await desk.draft(draft.id)).version)
    login = await vault_login(office.installation, office.organisation, Role.MESSAGE_CLIENT)
    (await superuser(office.installation)).rows(
        f"UPDATE {login.schema}.messages SET stage = 'refused', due_at = NULL RETURNING id"
    )
    first, second = (await desk.lines(Folder.SENT, "box")).lines
    await desk.set_done(first.id, first.version, done=True)
    await office.agreed()
    await office.done()
    assert (await office.there(first.id), await office.there(second.id)) == (False, True)
    (message,) = (await desk.conversation(second.id)).messages
    (file,) = message.documents[0].files
    content = await desk.file(message.id, file.id)
    assert b"".join([piece async for piece in content.pieces]) == PDF


# --- who decides ------------------------------------------------------------------------------------------


async def test_who_proposed_it_does_not_agree_to_it_where_there_is_another_manager(office: Archive) -> None:
    conversation = await office.old()
    await office.disposal().set_rule("box", "done", YEAR, "KS 2026/9")
    office.later()
    disposal = await office.disposal().propose("box")
    with pytest.raises(UnderWay):
        await office.disposal("bo").propose("box")
    with pytest.raises(SecondPerson):
        await office.disposal().decide("box", disposal, agreed=True)
    await office.done()
    assert await office.there(conversation)
    await office.disposal("bo").decide("box", disposal, agreed=True)
    with pytest.raises(Decided):
        await office.disposal("bo").decide("box", disposal, agreed=True)


async def test_the_only_manager_confirms_a_second_time(office: Archive) -> None:
    conversation = await office.old()
    office.given["bo", "box"] = ALL - {Right.MANAGE}
    await office.disposal().set_rule("box", "done", YEAR, "KS 2026/9")
    office.later()
    disposal = await office.disposal().propose("box")
    await office.disposal().decide("box", disposal, agreed=True)
    await office.done()
    assert not await office.there(conversation)


async def test_a_dropped_proposal_takes_nothing_and_another_can_follow(office: Archive) -> None:
    conversation = await office.old()
    await office.disposal().set_rule("box", "done", YEAR, "KS 2026/9")
    office.later()
    disposal = await office.disposal().propose("box")
    await office.disposal().decide("box", disposal, agreed=False)
    with pytest.raises(Decided):
        await office.disposal("bo").decide("box", disposal, agreed=True)
    await office.done()
    assert await office.there(conversation)
    assert await office.disposal("bo").propose("box")


async def test_without_the_right_to_manage_nothing_is_seen_or_done(
    office: Archive, installation: Installation
) -> None:
    """Another mailbox, other rights and another organisation get the same answer, and it is in the log."""
    await office.old()
    disposal = await office.agreed()
    elsewhere = Archive(installation, await installation.organisation(ROLES))
    await elsewhere.opened()
    office.given["cia", "box"] = ALL - {Right.MANAGE}
    office.given["dan", "other"] = ALL
    for where, desk in (
        (office, office.disposal("cia")),
        (office, office.disposal("dan")),
        (elsewhere, elsewhere.disposal()),
    ):
        before = [event for event, _ in await where.events()].count("mk:access:denied")
        mailbox = "box" if where is office else "nothing"
        attempts = [
            desk.mailbox(mailbox),
            desk.set_rule(mailbox, "done", 1, "x"),
            desk.propose(mailbox),
            desk.disposal(mailbox, disposal),
            desk.decide(mailbox, disposal, agreed=True),
            desk.record(mailbox, disposal),
        ]
        for attempt in attempts:
            with pytest.raises(NotHere):
                await attempt
        after = [event for event, _ in await where.events()].count("mk:access:denied")
        assert after - before == len(attempts)
    with pytest.raises(NotHere):
        await elsewhere.disposal().disposal("box", disposal)
    with pytest.raises(NotHere):
        await office.disposal("bo").disposal("other", disposal)


async def test_who_manages_and_may_not_read_sees_numbers_alone(office: Archive) -> None:
    await office.old("Planterat")
    office.given["eva", "box"] = frozenset({Right.MANAGE})
    await office.disposal("eva").set_rule("box", "done", YEAR, "KS 2026/9")
    office.later()
    _, due = await office.disposal("eva").mailbox("box")
    assert due is not None
    assert (due.conversations, due.messages, due.lines) == (1, 1, ())
    _, seen = await office.disposal("anna").mailbox("box")
    assert seen is not None
    assert [line.subject for line in seen.lines] == ["Planterat"]
    shown = [ids for event, ids in await office.events() if event == "mk:reading:list"]
    assert shown[-1]["folder"] == "disposal"


# --- the worker -------------------------------------------------------------------------------------------


async def test_a_worker_that_was_killed_in_the_middle_goes_on_where_it_was(
    office: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversations = [await office.old(f"nr {number}") for number in range(4)]
    disposal = await office.agreed()
    real, left = maildisposal.MailDisposal.dispose, 2

    async def killed(self: object, *arguments: object, **more: object) -> bool:
        nonlocal left
        gone = await real(self, *arguments, **more)  # type: ignore[arg-type]
        left -= 1
        if left < 0:
            raise VaultUnavailable
        return gone

    monkeypatch.setattr(maildisposal.MailDisposal, "dispose", killed)
    with pytest.raises(VaultUnavailable):
        await office.done()
    assert [await office.there(each) for each in conversations].count(True) == 2, "the third was rolled back"
    monkeypatch.undo()
    await office.done()
    assert [await office.there(each) for each in conversations].count(True) == 0
    records = [each async for each in await office.disposal().record("box", disposal)]
    assert len(records) == 4


async def test_the_worker_does_what_was_agreed_to_before_it_started(office: Archive) -> None:
    conversation = await office.old()
    await office.agreed()
    failures: list[BaseException] = []
    worker = Disposing(office.installation.gate, office.clock)
    worker._wanted.add(office.organisation)
    assert await worker._round(failures.append) == set()
    assert failures == []
    assert not await office.there(conversation)


async def test_what_was_agreed_to_is_done_soon_after_a_vault_was_unlocked(
    office: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vault that is locked or suspended at its turn is looked at again, and not reported."""
    monkeypatch.setattr(running, "_RETRY", timedelta(seconds=0.2))
    conversation = await office.old()
    await office.agreed()
    gate, failures, open_vault = office.installation.gate, list[BaseException](), Gate.open
    asked, locked = Event(), Event()

    def waits_for_its_officer(self: Gate, *of: Any) -> Any:
        if of[1] == office.organisation and of[3] is Purpose.DISPOSE and not locked.is_set():
            asked.set()
            raise VaultLocked
        return open_vault(self, *of)

    monkeypatch.setattr(Gate, "open", waits_for_its_officer)
    work = asyncio.create_task(Disposing(gate, office.clock).run(failures.append))
    async with asyncio.timeout(120):
        await asked.wait()
    assert await office.there(conversation)
    locked.set()
    async with asyncio.timeout(120):
        while await office.there(conversation):
            await asyncio.sleep(0.1)
    work.cancel()
    assert failures == []


async def test_a_disposal_that_nobody_agreed_to_removes_nothing(office: Archive) -> None:
    """The database itself prevents it, whatever a worker asks."""
    conversation = await office.old()
    await office.disposal().set_rule("box", "done", YEAR, "KS 2026/9")
    office.later()
    disposal = await office.disposal().propose("box")
    async with office.vault() as vault:
        mail = await vault.mail_of(conversation)
        contents = {one.id: {} for one in mail}
        assert not await vault.dispose(disposal, conversation, mail, contents, now=office.now)
        with pytest.raises(UnknownRecord):
            await vault.keep_hold(
                replace((await vault.conversations_by_id([conversation]))[0], id="x"), "a", {}, now=office.now
            )
    assert await office.there(conversation)


async def test_the_record_is_a_table_in_which_nothing_is_a_formula(office: Archive) -> None:
    conversation = await office.old()
    version = (await office.desk().conversation(conversation)).version
    await office.desk().register(conversation, version, "=HYPERLINK(1)")
    disposal = await office.agreed()
    await office.done()
    table = b"".join([piece async for piece in _table(await office.disposal().record("box", disposal))])
    lines = table.decode("utf-8-sig").splitlines()
    assert len(lines) == 2
    assert '"=HYPERLINK' not in lines[1]
    assert "HYPERLINK" in lines[1]


# --- the pages --------------------------------------------------------------------------------------------


async def prepared_role(whole: Whole) -> None:
    """Prepare two managers of a mailbox with a conversation that was done more than a day ago."""
    for name in ("anna", "bo"):
        await whole.give(name, SOC, Right.READ, Right.WRITE, Right.MANAGE)
    await whole.receives(label="Gammalt ärende")
    anna = await whole.visit("anna")
    href = hrefs(await anna.get(f"/mailbox/{SOC}/open"), r"/conversation/[^\"]+")[0]
    conversation = href.partition("?")[0]
    page = await anna.get(conversation)
    version = re.search(r'name="version" value="(\d+)"', page.text)
    assert version is not None
    assert (await anna.post(f"{conversation}/done", version=version[1])).status_code == 303
    whole.clock.forward(2 * 86_400)


async def test_a_rule_is_set_proposed_by_one_agreed_to_by_another_and_done(
    installation: Installation,
) -> None:
    """The test goes through the whole role: pages, rights, and the worker that carries it out."""
    async with whole_role(installation) as whole:
        await prepared_role(whole)
        anna, bo, place = (
            await whole.visit("anna"),
            await whole.visit("bo"),
            f"/administration/disposal/{SOC}",
        )
        assert "Ingen regel: inget gallras" in (await anna.get("/administration/disposal")).text
        wrong = await anna.post(f"{place}/rule", days="0", since="x", decision="")
        assert (wrong.status_code, wrong.text.count('class="fault"') >= 3) == (422, True)
        rule = await anna.post(f"{place}/rule", days="1", since="done", decision="KS 2026/9 § 12")
        page = await anna.follow(rule)
        assert "1 samtal med 1 meddelanden och 0 bilagor." in page.text
        assert "Gammalt ärende" in page.text
        proposed = await anna.post(f"{place}/propose")
        page = await anna.follow(proposed)
        one = proposed.headers["location"]
        assert 'value="agree"' not in page.text, "another manager has to agree"
        assert (await anna.post(one, act="agree")).status_code == 409
        assert (await bo.post(f"{place}/propose")).status_code == 409
        assert (await bo.post(one)).status_code == 422
        assert 'value="agree"' in (await bo.get(one)).text
        await bo.follow(await bo.post(one, act="agree"))
        assert whole.role.disposing._wanted == {whole.organisation}
        assert await whole.role.disposing._round(whole.failures.append) == set()
        page = await anna.get(one)
        assert ("Gallrat" in page.text, "Gammalt ärende" in page.text) == (True, False)
        record = await bo.get(f"{one}/record")
        assert record.headers["content-type"].startswith("text/csv")
        assert len(record.text.splitlines()) == 2
        assert (await bo.post(one, act="drop")).status_code == 409


@pytest.mark.parametrize(
    ("deletes", "said"),
    [(False, "har sina egna exemplar kvar"), (True, "Meddelandetjänstens exemplar raderas också")],
)
async def test_a_disposal_says_what_becomes_of_the_message_services_copies(
    installation: Installation, deletes: bool, said: str
) -> None:
    service = deleting_service()
    async with whole_role(installation, service if deletes else replace(service, deletion=None)) as whole:
        await prepared_role(whole)
        anna, place = await whole.visit("anna"), f"/administration/disposal/{SOC}"
        await anna.post(f"{place}/rule", days="1", since="done", decision="KS 2026/9 § 12")
        assert said in (await anna.follow(await anna.post(f"{place}/propose"))).text


async def test_pages_of_disposal_are_nowhere_for_who_does_not_manage_the_mailbox(
    installation: Installation,
) -> None:
    async with whole_role(installation) as whole:
        await whole.give("anna", SOC, Right.READ, Right.WRITE)
        await whole.give("bo", ENVIRONMENT, Right.MANAGE)
        place = f"/administration/disposal/{SOC}"
        for name in ("anna", "bo", "eva"):
            person = await whole.visit(name)
            answers = [
                *[await person.get(path) for path in (place, f"{place}/x", f"{place}/x/record")],
                await person.post(f"{place}/rule", days="1", since="done", decision="x"),
                await person.post(f"{place}/propose"),
                await person.post(f"{place}/x", act="agree"),
            ]
            assert {answer.status_code for answer in answers} == {404}, name
        assert not [one for one in await whole.log() if one.event.startswith("mk:disposal")]
