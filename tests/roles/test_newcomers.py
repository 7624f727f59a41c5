"""An organisation that joins while its operator's installation runs, and is served without a restart."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlencode

from samdrift.client.keys import ClientKey
from samdrift.config.reader import load
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.demo import enrolment
from samdrift.demo.cast import DemoOperator, DemoOrganisation
from samdrift.installation.operator import Operator
from samdrift.installation.vaultsettings import vault_settings
from samdrift.keystore.interface import OPERATOR_KEYS
from samdrift.keystore.keyfiles import KeyName
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.vault.provision import Provisioner
from samdrift.vault.registry import public_name
from tests.roles import web
from tests.roles.isolation.house import FIRST_USER, ROOT, SERVES
from tests.roles.member import AP, MT, Member, until
from tests.roles.messageclient import MessageClient
from tests.roles.processes import Process, mailroom, organisation, played
from tests.roles.stage import Stage, member_of
from tests.sizes import whole
from tests.vaults import server_folder

_FIRST, _NEW = organisation("tranas", "2120000613"), organisation("aneby", "2120000456")
_PROCESS = '[isolation]\nlevel = "process"\n' + (f"first_user = {FIRST_USER + 7_000}\n" if ROOT else "")
_PATIENCE = 300.0


async def joined(stage: Stage, process: Process, new: DemoOrganisation) -> dict[Role, str]:
    """Create vaults, keys, registrations and a configuration entry for an organisation; return its vaults."""
    config, folder = process.config, process.config_file.parent
    assert config.access_point is not None
    settings = vault_settings(config)
    keys = await asyncio.to_thread(open_keys, settings)
    provisioner = await Provisioner.connect(settings, keys=keys)
    try:
        vaults = await provisioner.add_organisation(new.identifier, new.roles)
    finally:
        await provisioner.close()
    authority = stage.federation.authority
    issued = await asyncio.to_thread(enrolment._certificates, keys, vaults[MT], authority, new)
    (own,) = keys.signing_keys(OPERATOR_KEYS, KeyName.ACCESS_POINT)
    stage.federation.register_participant(
        new.identifier,
        new.name,
        new.number,
        config.access_point.address,
        own.certificate,
        issued.signing,
        issued.encryption,
        new.mailboxes,
        documents=enrolment.BOTH_MODELS,
    )
    listen_c = f"{config.access_point.listen_c.host}:{config.access_point.listen_c.port}"
    entry = enrolment._entry(enrolment._served(folder, new, issued), listen_c, "")
    with process.config_file.open("a") as file:
        file.write("\n".join(entry) + "\n")
    return dict(vaults)


async def own_client(process: Process, new: DemoOrganisation, vault: str) -> MessageClient:
    """Return the organisation's message client, once its own authorisation server issues a token."""
    config, folder = load(process.config_file), process.config_file.parent
    assert config.message_service is not None
    base = config.message_service.address_d
    endpoint = f"{base}/v1/oauth2/{public_name(vault)}/token"
    key = ClientKey.read((folder / "clients" / f"{new.identifier.value.rpartition(':')[2]}.pem").read_bytes())
    tls = web.tls(config.inner_issuers)

    async def token() -> str | None:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": key.assertion("demo", endpoint, datetime.now(UTC)),
        }
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = await web.call(tls, "POST", endpoint, urlencode(form).encode(), headers)
        return answer.document()["access_token"] if answer.status == 200 else None

    return MessageClient(base, tls, await until(token, "its client gets an access token", _PATIENCE))


async def test_a_new_organisation_sends_receives_and_has_clients_while_its_operator_goes_on(
    stage: Stage,
) -> None:
    await served(stage, "")


@whole
async def test_a_new_organisation_gets_workers_of_its_own_while_its_operator_goes_on(stage: Stage) -> None:
    await served(stage, _PROCESS)


async def served(stage: Stage, settings: str) -> None:
    """Add an organisation to a running operator, and exchange messages with another one there."""
    operator = DemoOperator(f"grows-{bool(settings)}", "AP0083-SDK-DEMO", (_FIRST,))
    with server_folder() as folder:
        async with played(stage.federation, folder, {operator: ("all",)}, settings) as those:
            (process,), (first,) = those.processes, those.members
            if settings and ROOT:
                (process.config_file.parent / "clients").chmod(0o711)
            await process.start()
            running = process.running
            vaults = await joined(stage, process, _NEW)
            await until(partial(taken_up, process, _NEW), "its access point serves it", _PATIENCE)
            config = load(process.config_file)
            gate = await Gate.start(vault_settings(config))
            try:
                window = Operator(config, gate, mailroom(config, gate))
                new = member_of(stage.federation, window, _NEW)
                for sender, recipient in ((first, new), (new, first)):
                    await exchanged(sender, recipient)
                client = await own_client(process, _NEW, vaults[MT])
                listed = await client.list()
                assert listed.status == 200
            finally:
                await gate.close()
            assert process.running is running
            assert running is not None
            assert running.poll() is None


async def taken_up(process: Process, new: DemoOrganisation) -> bool | None:
    """Return ``True`` once the log reports it as served: until then messages to it are refused for good."""
    log, whose = process.log.read_text(), new.identifier.value
    workers = [name for name, _ in SERVES.findall(log)]
    return f"{whose} is served from now on" in log or f"{AP.value} of {whose}" in workers or None


async def exchanged(sender: Member, recipient: Member) -> None:
    message_id = await sender.send(recipient.address)
    ended = await sender.ends(message_id, within=_PATIENCE)
    assert ended is MessageStatus.ACCEPTED, await sender.events(message_id)
    assert await recipient.ends(message_id, Direction.IN, within=_PATIENCE) is MessageStatus.NEW
