"""Move of an organisation, by command, between the running installations of two operators."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pyrage
import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Purpose
from samdrift.evidence.trace import entries
from samdrift.installation.vaultsettings import vault_settings
from samdrift.keystore.custody import FOLDER, Custodians
from samdrift.messageservice.events import MTEvent
from samdrift.vault.provision import Provisioner
from tests.roles.member import AP, MT, Member
from tests.roles.stage import Stage
from tests.secretfiles import secret_file
from tests.sizes import whole
from tests.unit.cli.commandline import Ended, in_process
from tests.vaults import CHEAP, WORKER


async def run(*arguments: str | Path) -> Ended:
    return await asyncio.to_thread(in_process, *arguments)


def config_of(member: Member) -> Path:
    return member.config.vaults.secrets.parent / "samdrift.toml"


async def forgotten(member: Member, organisation: Member) -> None:
    """Remove the organisation completely, for the tests that follow."""
    keys = member.operator.gate._keys
    provisioner = await Provisioner.connect(vault_settings(member.config), keys=keys)
    try:
        for role in (AP, MT):
            await provisioner.drop(organisation.organisation, role)
    finally:
        await provisioner.close()


@whole
async def test_messages_receipts_and_logs_are_at_the_new_operator(stage: Stage, tmp_path: Path) -> None:
    """The old operator keeps running; content, outcome and proof of each message are there."""
    habo, new = stage.habo, stage.agency
    message_id = await habo.send(stage.mullsjo.address)
    assert await habo.ends(message_id) is MessageStatus.ACCEPTED
    for name in ("anna", "bo"):
        Custodians(habo.config.vaults.secrets, cost=CHEAP).add(name, b"a long row of words")
    secret_file(tmp_path / "words", "a long row of words\n")
    key = pyrage.x25519.Identity.generate()
    (tmp_path / "key").write_text(f"{key}\n")
    persons = ("--by", "anna", "--by-passphrase-file", tmp_path / "words")
    persons += ("--with", "bo", "--with-passphrase-file", tmp_path / "words")
    to = ("--to", str(key.to_public()), "--out", tmp_path / "habo.age")
    organisation = habo.organisation.value
    left = await run("org", "export", organisation, *to, *persons, "--config", config_of(habo), "--json")
    assert left.status == 0, left.complaints
    assert left.document["suspended"] is False
    unpacked = tmp_path / "unpacked" / "messages" / f"out-{message_id}"
    out = ("--out", tmp_path / "unpacked", "--json")
    read = await run("org", "unpack", tmp_path / "habo.age", "--identity", tmp_path / "key", *out)
    assert (read.status, read.document["unreadable"]) == (0, 0), read.complaints
    for name in ("manifest_sha256", "signer_sha256"):
        assert read.document[name] == left.document[name]
    assert set(read.document["logs"]) == {"ap", "mt"}
    assert read.document["signer_trusted"] is False, "no issuer was named that could vouch for the signer"
    trust = habo.config.federation.trust
    for folder, vouched in (("organisation", True), ("smp", False)):
        again = ("--out", tmp_path / folder, "--trust", trust / folder, "--manifest", "0" * 64)
        other = await run("org", "unpack", tmp_path / "habo.age", "--identity", tmp_path / "key", *again)
        assert (other.status, left.document["manifest_sha256"] in other.complaints) == (2, True)
        assert not (tmp_path / folder).exists()
        again = (*again[:4], "--manifest", left.document["manifest_sha256"])
        said = await run("org", "unpack", tmp_path / "habo.age", "--identity", tmp_path / "key", *again)
        assert said.status == 0, said.complaints
        assert ("no trusted issuer vouches for this certificate" in said.output) is not vouched
    async with habo.open(MT) as vault:
        body = await (await vault.body(message_id, Direction.OUT)).read_all()
    assert (unpacked / "message.xml").read_bytes() == body
    assert all(list(unpacked.glob(each)) for each in ("texts/*", "receipt-*.xml"))
    signer = ("--signer", left.document["signer_sha256"], "--by", "cecilia", "--config", config_of(new))
    came = await run(
        "org", "import", organisation, tmp_path / "habo.age", "--identity", tmp_path / "key", *signer
    )
    try:
        assert came.status == 0, came.complaints
        for log in read.document["logs"].values():
            assert f"{log['entries']} entries, the last one {log['head']}" in came.output
        assert f"manifest   {left.document['manifest_sha256']}" in came.output
        assert f"made       {read.document['made_at'][:19]}" in came.output
        assert "no trusted issuer" not in came.output
        await there(habo, new, message_id)
        again = await run(
            "org", "import", organisation, tmp_path / "habo.age", "--identity", tmp_path / "key", *signer
        )
        assert (again.status, "is here already" in again.output) == (0, True)
    finally:
        await forgotten(new, habo)
        shutil.rmtree(habo.config.vaults.secrets / FOLDER)


async def there(habo: Member, new: Member, message_id: str) -> None:
    gate, organisation = new.operator.gate, habo.organisation
    async with gate.open(WORKER, organisation, MT, Purpose.EXPORT) as vault:
        record = await vault.message(message_id, Direction.OUT)
        body = await (await vault.body(message_id, Direction.OUT)).read_all()
        receipt = await vault.receipt_for_message(message_id)
    async with habo.open(MT) as before:
        assert record == await before.message(message_id, Direction.OUT)
        assert body == await (await before.body(message_id, Direction.OUT)).read_all()
        assert receipt == await before.receipt_for_message(message_id)
    found = await entries(gate, WORKER, Purpose.EXPORT, organisation, (MT, AP), message_id)
    said = {one.entry.event for one in found if one.former}
    assert {MTEvent.MT_MESSAGE_SCHEDULED, APEvent.AP_TRANSFER_DELIVERED} <= said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--to", "age1nobody"), "a recipient is not an age recipient"),
        ((), "1 to 10 recipients are needed"),
    ],
)
async def test_nothing_is_exported_for_nobody(
    stage: Stage, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    organisation, out = stage.habo.organisation.value, tmp_path / "out"
    more = ("--by", "anna", "--config", config_of(stage.habo))
    ended = await run("org", "export", organisation, "--out", out, *arguments, *more)
    assert (ended.status, said in ended.complaints) == (2, True), ended.complaints
    assert not out.exists()
