"""Messages from the outbox to a sparse message service, each once (api-mt-mk 4.1)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest
import pytest_asyncio

from samdrift.client.keys import ClientKey
from samdrift.client.mailbox import Mailbox
from samdrift.contracts.messages import MessageStatus
from samdrift.contracts.principals import Purpose, Role
from samdrift.messageclient.desk import Desk, NotHere, TooLate
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.fetching import Fetching
from samdrift.messageclient.mail import (
    FOLLOWED_FOR,
    Caution,
    DraftContent,
    DraftStage,
    Folder,
    Identifier,
    Recipient,
    Stage,
)
from samdrift.messageclient.sending import LEASE, Sending
from samdrift.messageclient.submitting import OUTBOX_DEADLINE
from samdrift.messageclient.working import ServiceSettings, Working
from samdrift.net.clock import system_clock
from samdrift.scheduling.claims import Claimant
from samdrift.vault.errors import SealBroken, VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.mailrecords import FileRecord, MailboxRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.workergate import WorkerGate
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.messageclient.desks import ADDRESS, Office
from tests.vaults import WORKER, Installation, until

ROLES = (Role.MESSAGE_CLIENT,)
TO = Recipient("0203:mullsjo.se", "registrator:0203:mullsjo.se", "", "Registrator")
DNR = Identifier("dnr", "SN 1", "Dnr")


@pytest_asyncio.fixture
async def office(installation: Installation, organisation: ParticipantIdentifier) -> AsyncIterator[Office]:
    yield await Office(installation, organisation).opened()


def sending(office: Office, service: Mailbox, hears: Callable[[], bool] = lambda: False) -> Sending:
    vaults = office.installation.gate.worker("sending", Role.MESSAGE_CLIENT)
    return Sending(vaults, office.organisation, service, office.clock, hears)


async def sent(office: Office, files: tuple[tuple[str, bytes], ...] = ()) -> str:
    """Let a person send something; return the message after its undo window."""
    anna = office.desk()
    draft = await anna.new_draft("box", DraftContent((TO,), "Beslut", "**Hej**", references=(DNR,)))
    for name, data in files:
        upload = await anna.upload(draft.id, name, "")
        await upload.write(data)
        await upload.close()
    draft = await anna.draft(draft.id)
    (message,) = (await anna.submit(draft.id, draft.version)).messages
    return message


async def stage(office: Office, message: str) -> Stage:
    return (await office.desk().way(message)).stage


async def test_a_message_is_sent_when_its_window_is_over_and_followed_to_its_end(office: Office) -> None:
    """api-mt-mk 4.1 step 3, step 6: it has our id, references and files, and its status is shown."""
    data = b"%PDF-1.7\n" + b"y" * 300_000
    message = await sent(office, (("beslut.pdf", data),))
    async with office.service.running() as client:
        worker = sending(office, client)
        assert await worker.turn() is not None
        assert office.service.posted == []
        office.pass_by(11)
        await worker.turn()
        (posted,) = office.service.posted
        shown = await office.desk().way(message)
        assert posted["messageId"] == shown.message_id
        assert posted["senderAttention"]["subOrganization"]["extension"] == ADDRESS
        assert posted["senderAttention"]["referenceId"][0]["extension"] == "SN 1"
        (document,) = posted["digitalDocument"]
        assert document["contentTextBody"] == ["**Hej**"]
        assert base64.b64decode(document["contentFiles"][0]["content"]) == data
        assert document["contentFiles"][0]["contentType"] == "application/pdf"
        office.pass_by(6)
        await worker.turn()
        shown = await office.desk().way(message)
        assert shown.delivery is not None
        assert shown.delivery.status is MessageStatus.WAITING_FOR_RECEIPT
        office.service.messages["resource-1"]["messageStatus"] = "ACCEPTED"
        office.pass_by(60)
        assert await worker.turn() is None
    shown = await office.desk().way(message)
    assert shown.delivery is not None
    assert (shown.stage, shown.delivery.status) == (Stage.HANDED_OVER, MessageStatus.ACCEPTED)
    (used,) = await office.desk().correspondents("mullsjo")
    assert (used.recipient, used.used) == (TO, 1)


@pytest.mark.parametrize(
    "end", ["refused", "not taken", "no receipt", "MESSAGE_EXCHANGE_ERROR", "REJECTED", "ACCEPTED"]
)
async def test_a_conversation_that_is_done_is_opened_again_when_its_answer_did_not_arrive(
    office: Office, end: str
) -> None:
    """A person who answered and closed it is informed: it is in the lists again, with the reason."""
    desk, service = office.desk(), office.service
    message = await sent(office)
    case = (await desk.way(message)).conversation
    version = await desk.take(case, (await desk.conversation(case)).version)
    await desk.set_done(case, version, done=True)
    service.refuse, service.down = "too long" * (end == "refused"), end == "not taken"
    async with service.running() as client:
        worker = sending(office, client)
        office.pass_by(11)
        await worker.turn()
        if end == "not taken":
            service.down = False
            office.pass_by(OUTBOX_DEADLINE.total_seconds())
        elif end == "no receipt":
            await worker.turn()
            office.pass_by(FOLLOWED_FOR.total_seconds() + 60)
        elif end != "refused":
            service.messages["resource-1"]["messageStatus"] = end
            office.pass_by(30)
        await worker.turn()
    lines = (await desk.lines(Folder.MINE, "box")).lines
    assert [one.id for one in lines] == [case] * (end != "ACCEPTED")
    shown = await desk.conversation(case)
    assert shown.handler is not None, "the handler who answered must be kept"


async def test_an_address_whose_last_messages_got_no_receipt_is_to_be_looked_at_twice(office: Office) -> None:
    """The caution ends with the next receipt, since it is about whether anything arrives there now."""
    anna = office.desk()

    async def cautions() -> frozenset[Caution]:
        draft = await anna.new_draft("box", DraftContent((TO,), "Beslut", "Hej"))
        return (await anna.review(draft.id)).recipients[0].cautions

    async with office.service.running() as client:
        worker = sending(office, client)
        for number, expected in ((1, frozenset[Caution]()), (2, {Caution.NO_RECEIPT_LATELY})):
            await sent(office)
            office.pass_by(11)
            await worker.turn()
            assert len(office.service.posted) == number
            assert await cautions() == expected
        office.service.messages["resource-2"]["messageStatus"] = "ACCEPTED"
        office.pass_by(60)
        await worker.turn()
        assert await cautions() == set()


async def test_what_another_client_sent_is_followed_to_its_end(office: Office) -> None:
    """A service without events is covered too, so that a missing receipt is not shown for ever."""
    office.service.receives(
        sender=office.organisation.value,
        from_=ADDRESS,
        to=TO.address,
        recipient=TO.organisation,
        messageStatus="WAITING_FOR_RECEIPT",
        creationDateTime=office.now.isoformat(),
    )
    vaults = office.installation.gate.worker("fetching", Role.MESSAGE_CLIENT)
    async with office.service.running() as client:
        await Fetching(vaults, office.organisation, client, office.clock).look_sent(ADDRESS)
        office.service.messages["resource-1"]["messageStatus"] = "ACCEPTED"
        office.pass_by(30)
        assert await sending(office, client).turn() is None
    (line,) = (await office.desk().lines(Folder.SENT, "box")).lines
    assert line.delivery is not None
    assert line.delivery.status is MessageStatus.ACCEPTED
    draft = await office.desk().new_draft("box", DraftContent((TO,), "Beslut", "Hej"))
    (check,) = (await office.desk().review(draft.id)).recipients
    assert (check.cautions, check.last_receipt_at) == (frozenset(), office.now), (
        "the recipient has been written to before"
    )


async def test_undoing_and_sending_at_the_same_moment_do_one_of_both(office: Office) -> None:
    """At the end of the window, a worker and two people who undo compete."""
    anna, bo = office.desk(), office.desk("bo")
    async with office.service.running() as client:
        for number in range(8):
            text = f"Text {number}"
            draft = await anna.new_draft("box", DraftContent((TO,), "Beslut", text))
            await anna.submit(draft.id, draft.version)
            office.pass_by(10)
            acts: list[Awaitable[object]] = [
                _undone(anna, draft.id),
                sending(office, client).turn(),
                _undone(bo, draft.id),
            ]
            first, _, second = await asyncio.gather(*acts[:: -1 if number % 2 else 1])
            await sending(office, client).turn()
            posted = [one for one in office.service.posted if text in str(one)]
            assert [first, second].count(True) <= 1, "a message was undone twice"
            assert len(posted) == (0 if True in (first, second) else 1)
            kept = await anna.draft(draft.id)
            assert (kept.stage is DraftStage.OPEN, kept.content.text) == (True in (first, second), text)


async def _undone(desk: Desk, draft: str) -> bool:
    try:
        await desk.undo(draft)
    except TooLate:
        return False
    return True


async def test_an_answer_that_never_came_sends_nothing_twice(office: Office) -> None:
    message = await sent(office)
    office.service.deaf = 1
    async with office.service.running() as client:
        worker = sending(office, client)
        office.pass_by(11)
        await worker.turn()
        assert await stage(office, message) is Stage.OUTBOX
        office.pass_by(60)
        await worker.turn()
    assert await stage(office, message) is Stage.HANDED_OVER
    assert (len(office.service.posted), office.service.asked.count("POST")) == (1, 1)


async def test_who_is_killed_after_the_post_leaves_a_message_that_is_found_and_not_sent_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends between the answer and storing it; another continues when the lease is over."""
    message = await sent(office)

    class Killed(BaseException):
        pass

    async def killed(self: Sending, *_: object) -> None:
        raise Killed

    office.pass_by(11)
    async with office.service.running() as client:
        with monkeypatch.context() as patched:
            patched.setattr(Sending, "_handed_over", killed)
            with pytest.raises(Killed):
                await sending(office, client).turn()
        assert len(office.service.posted) == 1
        await sending(office, client).turn()
        assert await stage(office, message) is Stage.OUTBOX, "the first process still has the lease"
        office.pass_by(16 * 60)
        await sending(office, client).turn()
    assert await stage(office, message) is Stage.HANDED_OVER
    assert office.service.asked.count("POST") == 1


async def test_what_is_not_taken_by_its_deadline_ends_with_the_reason(office: Office) -> None:
    message = await sent(office)
    office.service.down = True
    async with office.service.running() as client:
        worker = sending(office, client)
        office.pass_by(11)
        await worker.turn()
        (waiting,) = await office.desk().outbox()
        assert waiting.delivery is not None
        assert waiting.delivery.reason
        office.service.down = False
        office.pass_by(OUTBOX_DEADLINE.total_seconds())
        assert await worker.turn() is None
    shown = await office.desk().way(message)
    assert shown.delivery is not None
    assert (shown.stage, shown.delivery.reason) == (Stage.NOT_SENT, waiting.delivery.reason)
    assert office.service.posted == []
    again = await office.desk().send_again(message)
    assert (again.content.text, again.content.references, again.reply_to) == ("**Hej**", (DNR,), message)


async def test_a_message_whose_files_are_disposed_of_meanwhile_is_not_sent_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = await sent(office)
    office.service.refuse = "the label is too long"
    async with office.service.running() as client:
        office.pass_by(11)
        await sending(office, client).turn()

    async def files_of(*_: object) -> tuple[FileRecord, ...]:
        return (
            FileRecord("gone", message, 0, 1, "a body that is gone", {"name": "a", "type": "text/plain"}),
        )

    monkeypatch.setattr(MessageClientVault, "files_of", files_of)
    with pytest.raises(NotHere):
        await office.desk().send_again(message)


async def test_one_that_is_refused_since_it_is_there_already_is_there(office: Office) -> None:
    """Another process posted it while this one was looking for it."""
    message = await sent(office)
    shown = await office.desk().way(message)
    office.pass_by(11)
    async with office.service.running() as client:
        office.service.receives(
            message_id=shown.message_id, from_=ADDRESS, messageStatus="WAITING_FOR_RECEIPT"
        )
        await sending(office, client).turn()
    assert await stage(office, message) is Stage.HANDED_OVER
    assert office.service.posted == []


async def test_a_refused_message_ends_with_what_the_message_service_says(office: Office) -> None:
    message = await sent(office)
    office.service.refuse = "the label is too long"
    async with office.service.running() as client:
        office.pass_by(11)
        assert await sending(office, client).turn() is None
    shown = await office.desk().way(message)
    assert shown.delivery is not None
    assert shown.stage is Stage.REFUSED
    assert "the label is too long" in shown.delivery.reason


async def test_what_the_message_service_says_of_a_message_is_in_no_log(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    """Another supplier's words may quote the message: the person sees them, and the logs have the status."""
    await sent(office)
    office.service.refuse = '"**Hej**" is not allowed'
    async with office.service.running() as client:
        office.pass_by(11)
        await sending(office, client).turn()
    async with office.installation.open(office.organisation, Role.MESSAGE_CLIENT) as vault:
        entries = await vault.log()
    (ended,) = [each for each in entries if each.event == MKEvent.MK_MESSAGE_NOT_SENT]
    assert ended.ids["reason"] == "HTTP status 400"
    assert "Hej" not in caplog.text


async def test_what_was_sent_from_here_is_not_fetched_as_anothers(office: Office) -> None:
    await sent(office)
    vaults = office.installation.gate.worker("fetching", Role.MESSAGE_CLIENT)
    async with office.service.running() as client:
        office.pass_by(11)
        await sending(office, client).turn()
        done = await Fetching(vaults, office.organisation, client, office.clock).look_sent(ADDRESS)
    assert done.stored == 0


async def test_the_worker_sends_and_fetches_without_being_asked(office: Office, tmp_path: Path) -> None:
    """The clock is real, because the registry knows when work is due; an undo window of 0 seconds is over."""
    async with office.vault() as vault:
        await vault.keep_mailbox(MailboxRecord("box", ADDRESS, "Socialtjänst", undo_seconds=0))
    office.now = system_clock()
    ClientKey.new().write(tmp_path / "key.pem")
    message = await sent(office)
    office.service.receives()
    async with office.service.running():
        settings = ServiceSettings(
            office.organisation,
            f"{office.service.url}/v1",
            f"{office.service.url}/token",
            "client",
            (tmp_path / "key.pem").read_bytes(),
            public_only=False,
        )
        failures: list[BaseException] = []
        working = Working(office.installation.gate, [settings], system_clock, 0.05)
        async with working.running(failures.append):
            await until(lambda: bool(office.service.posted or failures))
            async with asyncio.timeout(60):
                while await stage(office, message) is not Stage.HANDED_OVER:
                    await asyncio.sleep(0.05)
                while not (await office.desk().lines(Folder.UNREAD)).lines:
                    await asyncio.sleep(0.05)
    assert failures == []


async def test_without_events_a_receipt_is_seen_within_half_a_minute_however_late_it_comes(
    office: Office,
) -> None:
    """It asks for messages that wait, which is a short list whatever was sent later."""
    message = await sent(office)
    async with office.service.running() as client:
        sender = sending(office, client)
        for hours in (0, 1, 30, 100):
            office.pass_by(hours * 3600 + 25)
            due = await sender.turn()
            assert due is not None
            assert timedelta() < due - office.now <= timedelta(seconds=25)
        office.service.asked.clear()
        office.pass_by(25)
        await sender.turn()
        assert [each for each in office.service.asked if "WAITING_FOR_RECEIPT" in each]
        assert len(office.service.asked) == 1, (
            "waiting messages must not be searched for among all that were sent"
        )
        office.service.messages["resource-1"]["messageStatus"] = "ACCEPTED"
        office.pass_by(25)
        await sender.turn()
    async with office.vault() as vault:
        (mail,) = await vault.mail([message])
    assert (mail.status, mail.due_at) == ("ACCEPTED", None)


async def test_what_is_to_be_handed_over_comes_before_what_is_asked_about(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many messages that wait for receipts do not delay one that has not been sent yet."""
    monkeypatch.setattr("samdrift.messageclient.sending._BATCH", 1)
    await sent(office)
    async with office.service.running() as client:
        office.pass_by(11)
        await sending(office, client).turn()
        await sent(office)
        office.pass_by(60)
        await sending(office, client).turn()
        assert len(office.service.posted) == 2


async def test_the_status_is_asked_for_when_an_event_says_that_it_has_changed(office: Office) -> None:
    """Otherwise the next question would be minutes away."""
    message = await sent(office)
    async with office.service.running() as client:
        sender = sending(office, client, hears=lambda: True)
        for _ in range(9):
            office.pass_by(700)
            due = await sender.turn()
        assert due is not None
        assert due > office.now
        office.service.messages["resource-1"]["messageStatus"] = "ACCEPTED"
        for unknown, known in (("resource-9", due), ("resource-1", office.now)):
            async with office.vault() as vault:
                vault.hurry_mail([unknown], now=office.now)
            async with office.vault() as vault:
                assert await vault.next_due() == known
        await sender.turn()
    async with office.vault() as vault:
        (mail,) = await vault.mail([message])
    assert mail.status == "ACCEPTED"


async def test_what_a_killed_process_had_claimed_is_sent_by_the_next_one_at_once_and_looked_for_first(
    office: Office,
) -> None:
    """It would otherwise wait a quarter of an hour, and it may already be at the message service."""
    message = await sent(office)
    office.pass_by(11)
    settings = office.installation.settings
    killed = await Gate.start(settings, claimant=Claimant("killed"))
    async with killed.open(WORKER, office.organisation, Role.MESSAGE_CLIENT, Purpose.SEND) as vault:
        await vault.end_windows(now=office.now)
        assert await vault.claim_mail(now=office.now, lease=LEASE, limit=9) == (message,)
    await killed.close()
    async with office.vault() as vault:
        assert await vault.claim_mail(now=office.now, lease=LEASE, limit=9) == ()
        assert await vault.release_claims(["another"], now=office.now) == 0
        assert await vault.release_claims(["killed"], now=office.now) == 1
    async with office.service.running() as client:
        await sending(office, client).turn()
        assert len(office.service.posted) == 1
        assert office.service.asked, "the message service must be searched first, as it may have the message"


class Away(WorkerGate[MessageClientVault]):
    """Vaults whose database goes away when the result is to be recorded."""

    def __init__(self, office: Office, after: int) -> None:
        self._gate = office.installation.gate.worker("sending", Role.MESSAGE_CLIENT)
        self._left = after

    def __getattr__(self, name: str) -> object:
        return getattr(self._gate, name)

    def open(
        self, organisation: ParticipantIdentifier, purpose: Purpose
    ) -> AbstractAsyncContextManager[MessageClientVault]:
        self._left -= 1
        if self._left == 0:
            raise VaultUnavailable("connection refused")
        return self._gate.open(organisation, purpose)


@pytest.mark.parametrize(("after", "posted"), [(2, 0), (3, 1)])
async def test_what_an_outage_cuts_off_goes_on_with_the_next_turn_and_is_looked_for_first(
    office: Office, after: int, posted: int
) -> None:
    """It would otherwise wait a quarter of an hour; the message service may have it by then."""
    message = await sent(office)
    office.pass_by(11)
    async with office.service.running() as client:
        worker = Sending(Away(office, after), office.organisation, client, office.clock)
        with pytest.raises(VaultUnavailable):
            await worker.turn()
        assert len(office.service.posted) == posted
        office.pass_by(5)
        office.service.asked.clear()
        office.service.careless = True
        await worker.turn()
        assert len(office.service.posted) == 1
        assert office.service.asked[0].startswith("GET list"), (
            "the message service must be searched first, as it may have the message"
        )
        assert await stage(office, message) is Stage.HANDED_OVER
        asked = len(office.service.asked)
        await worker.turn()
        assert len(office.service.asked) == asked, "no work may be left"


class Broken(Away):
    """Vaults in which a message's body cannot be read, because of an outage or an alteration."""

    def __init__(self, office: Office, failure: Exception) -> None:
        super().__init__(office, 0)
        self._failure = failure
        self.read = 0

    def open(
        self, organisation: ParticipantIdentifier, purpose: Purpose
    ) -> AbstractAsyncContextManager[MessageClientVault]:
        return self._opened(organisation, purpose)

    @asynccontextmanager
    async def _opened(
        self, organisation: ParticipantIdentifier, purpose: Purpose
    ) -> AsyncIterator[MessageClientVault]:
        async def lost(*asked: object) -> NoReturn:
            self.read += 1
            raise self._failure

        async with self._gate.open(organisation, purpose) as vault:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(vault, "mail_body", lost)
                yield vault


@pytest.mark.parametrize(("failure", "times"), [(VaultUnavailable("object store"), 6), (SealBroken(), 1)])
async def test_one_message_that_cannot_be_read_holds_up_the_others_a_few_times_at_most(
    office: Office, failure: Exception, times: int
) -> None:
    """It then waits for its lease to end, and the next turns go to the others."""
    await sent(office)
    office.pass_by(11)
    async with office.service.running() as client:
        worker = Sending(broken := Broken(office, failure), office.organisation, client, office.clock)
        for _ in range(9):
            with contextlib.suppress(VaultUnavailable, SealBroken):
                await worker.turn()
            office.pass_by(5)
    assert broken.read == times


async def test_what_an_outage_cut_off_is_not_gone_on_with_where_another_process_was_in_charge(
    office: Office,
) -> None:
    await sent(office)
    office.pass_by(11)
    async with office.service.running() as client:
        worker = Sending(Away(office, 2), office.organisation, client, office.clock)
        with pytest.raises(VaultUnavailable):
            await worker.turn()
        await worker.release(["another"])
        await worker.turn()
        assert office.service.posted == []


async def test_a_message_that_ends_its_processes_waits_for_its_lease(office: Office) -> None:
    message = await sent(office)
    office.pass_by(11)
    settings = office.installation.settings
    async with office.vault() as vault:
        await vault.end_windows(now=office.now)
    for number in range(6):
        killed = await Gate.start(settings, claimant=Claimant("killed"))
        async with killed.open(WORKER, office.organisation, Role.MESSAGE_CLIENT, Purpose.SEND) as vault:
            assert await vault.claim_mail(now=office.now, lease=LEASE, limit=9) == (message,)
        await killed.close()
        async with office.vault() as vault:
            assert await vault.release_claims(["killed"], now=office.now) == (number < 5)
