"""The database stops and comes back: nothing is acknowledged meanwhile, and nothing is lost."""

from __future__ import annotations

import asyncio

import pytest

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.vault.database import migrations
from samdrift.vault.errors import VaultUnavailable
from tests.roles.crashes import crashed
from tests.roles.member import until
from tests.roles.stage import Stage
from tests.separation.vaultlogin import Superuser
from tests.unit.cli.commandline import samdrift

EXPECTED = "VaultUnavailable"
"""Exception that the log of the platform may contain here."""


async def test_invariant_7_no_receipt_without_durability(stage: Stage) -> None:
    """The peer is asked to try again later, and does."""
    agency, peer = stage.agency, stage.peer()
    envelope = peer.encloses(agency)
    message_id, packed = peer.packs(envelope, agency)
    async with crashed(agency.config, agency.operator.gate):
        posted = await peer.repeats(message_id, packed, agency)
        assert posted.answer.status == 503

    async def again() -> bool | None:
        posted = await peer.repeats(message_id, packed, agency)
        return posted.is_receipt_of(agency.certificate) if posted.answer.status == 200 else None

    assert await until(again, "the message is taken")
    (receipt,) = await peer.message_receipts(envelope.id)
    assert not receipt.findings
    assert await agency.ends(envelope.id, Direction.IN) is MessageStatus.NEW


async def test_nothing_is_taken_for_sending_that_would_not_be_kept(stage: Stage) -> None:
    agency, peer = stage.agency, stage.peer()
    interface = await agency.interface_c()
    envelope = await agency.encloses(peer.address, peer.encryption)
    async with crashed(agency.config, agency.operator.gate):
        assert (await interface.submit(envelope.id, envelope.data)).problem == (503, "unavailable")
        assert (await interface.poll()).problem == (503, "unavailable")
        with pytest.raises(VaultUnavailable):
            await agency.send(peer.address)
    assert (await interface.submit(envelope.id, envelope.data)).status == 201
    await agency.reaches(envelope.id, MessageStatus.WAITING_FOR_RECEIPT)


async def test_both_roles_go_on_by_themselves(stage: Stage) -> None:
    """Messages sent meanwhile end, delivered or not; those sent afterwards arrive."""
    async with crashed(stage.agency.config, stage.agency.operator.gate):
        message_id = await stage.habo.send(stage.agency.address)
        await stage.habo.reaches(message_id, MessageStatus.SCHEDULED_FOR_RESEND)
    await stage.habo.ends(message_id)
    then = await stage.habo.send(stage.agency.address)
    assert await stage.habo.ends(then) is MessageStatus.ACCEPTED
    assert await stage.agency.ends(then, Direction.IN) is MessageStatus.NEW
    back = await stage.agency.send(stage.habo.address)
    assert await stage.agency.ends(back) is MessageStatus.ACCEPTED


async def test_a_version_that_does_not_know_the_form_of_the_database_stops_with_one_line(
    stage: Stage,
) -> None:
    """This happens to a host that was left out of an upgrade; processes that already ran keep running."""
    operator = stage.agency.operator
    superuser = Superuser(operator.gate.database.administrator())
    kept = "UPDATE registry.versions SET version = %s WHERE part = %s"
    superuser.rows(kept, migrations.FORM + 1, migrations.FORM_ROW)
    try:
        file = stage.agency.config.file
        assert file is not None
        for command in (("org", "list"), ("serve", "all")):
            ended = await asyncio.to_thread(samdrift, *command, "--config", file)
            assert ended.status == 2
            (line,) = ended.complaints.splitlines()
            assert "from a newer version of the program" in line
            assert "install the newer version on this host" in line
    finally:
        superuser.rows(kept, migrations.FORM, migrations.FORM_ROW)
