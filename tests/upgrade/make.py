"""Makes the stored installation for tests of upgrades: ``python -m tests.upgrade.make FILE``.

``FILE`` is a tar archive, compressed with xz, of a whole installation as a version leaves it when it stops:
database, objects, key store, seals, configuration, the tokens of its HSM, and the federation of which it is
a member. It has three organisations: Habo moved in from another operator, Aneby is locked by its officer,
and Vetlanda has its keys in SoftHSM. There are messages in every lasting state, including receipts and
deleted messages, and a few thousand log entries. ``facts.json`` in the archive records its content, so that
a test can compare.

Run it in a checkout of the version that the installation shall have. The one of version 0.1 is stored in
``tests/upgrade/installation-0.1.tar.xz``.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage

from samdrift.config.hsm import HsmConfig, HsmTokenConfig
from samdrift.config.malware import MalwareConfig
from samdrift.config.model import Config
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Purpose, Role
from samdrift.demo.cast import HABO, DemoOperator
from samdrift.demo.enrolment import enrol
from samdrift.installation.operator import running
from samdrift.keystore.custody import Custodians
from samdrift.keystore.settings import HsmAccess, HsmSettings
from samdrift.keystore.wrapping import ScryptCost
from samdrift.messageservice.events import MTEvent
from samdrift.wire.codes import Detail, Reason
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import RECEIPT_EXTENDED
from tests.roles.letters import DRAFT, WITH_PDF, enclose_receipt
from tests.roles.member import AP, MT, Member
from tests.roles.processes import organisation
from tests.roles.stage import Stage, hasty, member_of, staged
from tests.secretfiles import secret_file
from tests.softhsm import LIBRARIES, PIN, softhsm
from tests.unit.cli.commandline import samdrift
from tests.vaults import server_folder

ANEBY = organisation("aneby", "2120000449")
VETLANDA = organisation("vetlanda", "2120000571")
OFFICER = "the officer's own words"
CUSTODIAN = "a long row of words"
CUSTODIANS = ("anna", "bo")
TOKEN = "vetlanda"
EXCHANGES = 30
"""Number of messages in each direction between each organisation and another operator."""


async def main(archive: Path) -> None:
    """Make the installation in a temporary folder and archive it."""
    with server_folder() as folder, softhsm(_made(folder / "hsm")) as hsm:
        hsm.make(TOKEN)
        pin = folder / "hsm" / "pin"
        pin.write_text(f"{PIN}\n")
        pin.chmod(0o600)
        place = _made(folder / "operator")
        async with staged(_made(folder / "others")) as stage:
            facts = await _lived_in(stage, place, HsmTokenConfig(TOKEN, pin), hsm.library)
        (folder / "facts.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", "utf-8")
        for gone in ("postmaster.opts", "postmaster.pid"):
            (place / "database" / gone).unlink(missing_ok=True)
        with tarfile.open(archive, "w:xz", preset=9) as packed:
            for name in ("facts.json", "operator", "hsm"):
                packed.add(folder / name, name, filter=_anonymous)
            packed.add(folder / "others" / "federation", "federation", filter=_anonymous)


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o711)
    return folder


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Remove the owner of a member of the archive; leave out anything but files and folders."""
    if not (member.isreg() or member.isdir()):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


async def _lived_in(stage: Stage, folder: Path, token: HsmTokenConfig, library: Path) -> dict[str, Any]:
    """Make the organisations live through everything that leaves traces in an installation."""
    tokens = HsmSettings(library, {VETLANDA.identifier: HsmAccess(token.label, token.pin_file)})
    demo = DemoOperator("operator-u", "AP0020-SDK-DEMO", (ANEBY, VETLANDA))
    await enrol(stage.federation, demo, folder, tokens)
    await _moves_in(stage, folder)
    enrolled = await enrol(
        stage.federation, replace(demo, organisations=(*demo.organisations, HABO)), folder, tokens
    )
    _resumed(enrolled.config_file)
    config = _patient(_with_token(hasty(enrolled.config, MalwareConfig(None)), library, token))
    async with running(config) as run:
        aneby, vetlanda, habo = members = [
            member_of(stage.federation, run, one) for one in (ANEBY, VETLANDA, HABO)
        ]
        for _ in range(EXCHANGES):
            await asyncio.gather(*(_exchange(stage, one) for one in members))
        await asyncio.gather(*(_in_every_state(stage, one) for one in (aneby, vetlanda, habo)))
        secret_file(folder / "words", OFFICER)
        locked = await _command(
            *("org", "lock", ANEBY.identifier.value, "--passphrase-file", folder / "words"),
            config=enrolled.config_file,
        )
        assert "officer" in locked
        facts = {one.organisation.value: await _facts(one) for one in members}
        (folder / "words").unlink()
    waiting = await _waits_at_the_access_point(stage, config)
    scheduled = await _waits_for_the_access_point(stage, config)
    _name_the_token(enrolled.config_file)
    return {
        "organisations": facts,
        "locked": {ANEBY.identifier.value: OFFICER},
        "token": {"organisation": VETLANDA.identifier.value, "label": TOKEN, "pin": PIN},
        "waits_at_access_point": {VETLANDA.identifier.value: waiting},
        "scheduled": {VETLANDA.identifier.value: scheduled},
        "moved_in": HABO.identifier.value,
        "custodians": dict.fromkeys(CUSTODIANS, CUSTODIAN),
    }


def _with_token(config: Config, library: Path, token: HsmTokenConfig) -> Config:
    organisations = tuple(
        replace(one, hsm=token if one.identifier == VETLANDA.identifier else None)
        for one in config.organisations
    )
    vaults = replace(config.vaults, hsm=HsmConfig(library))
    return replace(config, vaults=vaults, organisations=organisations)


def _patient(config: Config) -> Config:
    """Set so many attempts that waiting transfers still wait when the installation is used again."""
    assert config.access_point is not None
    return replace(config, access_point=replace(config.access_point, attempts=1_000_000))


async def _command(*arguments: str | Path, config: Path) -> str:
    ended = await asyncio.to_thread(samdrift, *arguments, "--config", config)
    assert ended.status == 0, ended.complaints
    return ended.output


async def _moves_in(stage: Stage, folder: Path) -> None:
    """Move Habo from its operator, with the messages that it has exchanged there."""
    habo = stage.habo
    for _ in range(3):
        await _exchange(stage, habo)
    there = habo.config.vaults.secrets
    for name in CUSTODIANS:
        for secrets in (there, folder / "secrets"):
            Custodians(secrets, cost=ScryptCost(n=1 << 4, r=1, p=1)).add(name, CUSTODIAN.encode())
    words, key, export = (folder / name for name in ("words", "key", "habo.age"))
    secret_file(words, f"{CUSTODIAN}\n")
    identity = pyrage.x25519.Identity.generate()
    secret_file(key, f"{identity}\n")
    anna, bo = CUSTODIANS
    await _command(
        *("org", "suspend", habo.organisation.value, "--by", anna, "--why", "moves"),
        config=there.parent / "samdrift.toml",
    )
    await _command(
        *("org", "export", habo.organisation.value, "--to", str(identity.to_public()), "--out", export),
        *("--by", anna, "--by-passphrase-file", words, "--with", bo, "--with-passphrase-file", words),
        config=there.parent / "samdrift.toml",
    )
    await _command(
        *("org", "import", habo.organisation.value, export, "--identity", key, "--by", anna, "--take-over"),
        *("--signer", _signer(export, key)),
        config=folder / "samdrift.toml",
    )
    for file in (words, key, export):
        file.unlink()


def _signer(export: Path, key: Path) -> str:
    """Return the fingerprint of the certificate that signed the export, as the former operator reports it."""
    out = export.with_name("unpacked")
    ended = samdrift("org", "unpack", export, "--identity", key, "--out", out, "--json")
    assert ended.status == 0, ended.complaints
    shutil.rmtree(out)
    return str(ended.document["signer_sha256"])


def _resumed(config: Path) -> None:
    ended = samdrift(
        "org", "resume", HABO.identifier.value, "--by", "anna", "--why", "moved in", "--config", config
    )
    assert ended.status == 0, ended.complaints


async def _exchange(stage: Stage, member: Member) -> None:
    """Exchange a message in each direction, with the receipts."""
    agency = stage.agency
    out, back = await asyncio.gather(
        member.send(agency.address, WITH_PDF), agency.send(member.address, WITH_PDF)
    )
    assert await member.ends(out) is MessageStatus.ACCEPTED
    assert await agency.ends(back) is MessageStatus.ACCEPTED


async def _in_every_state(stage: Stage, member: Member) -> None:
    """Bring messages into each state that outlives a stop, in both directions, and delete one."""
    mute, deaf, rejecting, sender = (stage.peer() for _ in range(4))
    deaf.respond = sender.respond = lambda received: 503
    waiting = await member.send(mute.address)
    await member.send(deaf.address, DRAFT)
    await deaf.gets(1)
    await member.reaches(waiting, MessageStatus.WAITING_FOR_RECEIPT)
    rejected = await member.send(rejecting.address)
    await member.reaches(rejected, MessageStatus.WAITING_FOR_RECEIPT)
    receipt = enclose_receipt(
        *(rejecting.address.organisation, member.organisation, rejected, rejecting.signing, RECEIPT_EXTENDED),
        Finding(Reason.RULE, Detail.NOT_FOUND, "the functional address is unknown"),
    )
    await rejecting.posts(receipt, member)
    assert await member.ends(rejected) is MessageStatus.MESSAGE_EXCHANGE_ERROR
    incoming = sender.letter(member)
    await sender.posts(sender.seals(incoming, member), member)
    await member.logged(MT, incoming.message_id, MTEvent.MT_MESSAGE_RETRIEVED)
    unknown = replace(stage.agency.address, functional_address="sdk.nowhere.0203:arbetsformedlingen.se")
    gone = await member.send(unknown)
    assert await member.ends(gone) is MessageStatus.MESSAGE_EXCHANGE_ERROR
    deleted = await member.send(stage.agency.address)
    assert await member.ends(deleted) is MessageStatus.ACCEPTED
    gate, organisation = member.operator.gate, member.organisation
    async with gate.open(member.principal, organisation, MT, Purpose.PROCESS) as vault:
        assert await vault.delete(deleted, Direction.OUT)


async def _waits_at_the_access_point(stage: Stage, config: Config) -> str:
    """Receive an envelope while no message service runs, and return its id."""
    async with running(config, frozenset({Role.ACCESS_POINT})) as run:
        vetlanda = member_of(stage.federation, run, VETLANDA)
        peer = stage.peer()
        envelope = peer.encloses(vetlanda)
        posted = await peer.posts(envelope, vetlanda)
        assert posted.is_receipt_of(vetlanda.certificate)
        return envelope.id


async def _waits_for_the_access_point(stage: Stage, config: Config) -> str:
    """Send a message while no access point runs, and return its id."""
    async with running(config, frozenset({Role.MESSAGE_SERVICE})) as run:
        vetlanda = member_of(stage.federation, run, VETLANDA)
        return await vetlanda.send(stage.agency.address)


def _name_the_token(config: Path) -> None:
    """Add the HSM token to the configuration file, where enrolment does not write it."""
    text = config.read_text("utf-8")
    module = next(each for each in LIBRARIES if Path(each).exists())
    text = text.replace("[access_point]", f'[vaults.tokens]\nmodule = "{module}"\n\n[access_point]', 1)
    name = f'identifier = "{VETLANDA.identifier.value}"\n'
    assert text.count(name) == 1
    text = text.replace(name, f'{name}token = {{ label = "{TOKEN}", pin_file = "../hsm/pin" }}\n')
    config.write_text(text, "utf-8")


async def _facts(member: Member) -> dict[str, Any]:
    """Return digests of all messages, the number of records, and the heads of both logs."""
    facts: dict[str, Any] = {"messages": {}, "logs": {}}
    async with member.open(MT) as vault:
        for record in await vault.messages(limit=10_000):
            body = await (await vault.body(record.id, record.direction)).read_all() if record.size else b""
            facts["messages"][f"{record.direction}/{record.id}"] = {
                "status": record.status.value,
                "sha256": hashlib.sha256(body).hexdigest(),
            }
        log = await vault.log(limit=100_000)
        facts["logs"]["mt"] = {"entries": len(log), "last": log[-1].hash.hex()}
    async with member.open(AP) as access_point:
        log = await access_point.log(limit=100_000)
        facts["logs"]["ap"] = {"entries": len(log), "last": log[-1].hash.hex()}
    return facts


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
