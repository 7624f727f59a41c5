"""`samdrift gov consent`, `emergency` and `grant settle` as people type them; commands that need consent."""

from __future__ import annotations

import asyncio
import json
import shlex
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from samdrift.cli import evidence, trace
from samdrift.cli.log import app as log_app
from samdrift.cli.mailbox import app as mailbox_app
from samdrift.cli.org import app as org_app
from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Role
from samdrift.governance.consent import ConsentEvent
from samdrift.governance.emergency import EmergencyEvent
from samdrift.vault.people import Identity
from tests.programs import requires
from tests.unit.cli import test_gov_signing, test_org_commands
from tests.unit.cli.test_gov_signing import Desk, in_another_second
from tests.unit.cli.test_mailbox_commands import served
from tests.unit.governance.test_records import logged
from tests.vaults import Installation

pytestmark = requires("ssh-keygen", "openssh-client")
config, two = test_org_commands.config, test_gov_signing.two

MESSAGE = "0d9b6c1e-6a3f-4f0e-9d7a-1c2b3a4d5e6f"
ABOUT = ("--extent", f"message:{MESSAGE}", "--ground", "outage", "--ticket", "INC-4711")


async def staffed(installation: Installation, config: Path, two: list[str], folder: Path) -> Desk:
    """Return an organisation with the officer Kim, and Ola and Pia of the operator's staff."""
    organisation = await installation.organisation([Role.GOVERNANCE, Role.MESSAGE_CLIENT])
    desk = Desk(config, organisation, folder)
    for person in ("operator:ola", "operator:pia", "kim"):
        name = person.rpartition(":")[2]
        role = ("--role", "administrator") if name == "kim" else ()
        enrol = ("officer enrol", "--key", desk.key(name), "--name", name.title(), "--person", person)
        await desk.run(*enrol, *role, *two)
    in_another_second()
    return desk


async def invoked(app: Any, *arguments: str | Path) -> tuple[int, str]:
    ended = await asyncio.to_thread(
        CliRunner().invoke, app, [str(each) for each in arguments], standalone_mode=False
    )
    if ended.exception is not None:
        raise ended.exception
    return int(ended.return_value or 0), ended.stdout


async def traced(desk: Desk, by: str = "ola") -> tuple[int, str]:
    why = ("--reason", "INC-4711", "--by", by, "--config", desk.config)
    return await invoked(trace.app, str(desk.organisation), MESSAGE, *why)


async def listed(desk: Desk) -> dict[str, Any]:
    shown = await desk.run("consent list", "--reason", "test", "--json")
    return json.loads(shown)  # type: ignore[no-any-return]


async def test_a_request_is_approved_used_and_revoked(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    desk = await staffed(installation, config, two, tmp_path)
    with pytest.raises(Exception, match=r"no consent covers that.*can approve: person:kim"):
        await traced(desk)
    file, shown = await desk.signed("ola", "consent request", *ABOUT, "--by", "operator:ola")
    assert "can approve it: person:kim (Kim)" in shown
    asked = json.loads(await desk.run("statement append", file, "--json"))
    (row,) = (await listed(desk))["consents"]
    assert (row["stage"], row["approvers"], row["missing"]) == ("waiting", ["person:kim (Kim)"], 1)
    with pytest.raises(Exception, match="is waiting"):
        await traced(desk)
    number = str(asked["statement"])
    with pytest.raises(Unusable, match="approve their own request"):
        await desk.signed("ola", "consent approve", number, "--by", "operator:ola")
    await desk.state("kim", "consent approve", number, "--by", "kim")
    assert (await traced(desk))[0] == 1, "trace must be allowed, and find no such message"
    with pytest.raises(Exception, match="another person's"):
        await traced(desk, by="pia")
    section = ("export", str(desk.organisation), MESSAGE, "--section", "--by", "ola", "--reason", "test")
    with pytest.raises(Exception, match="no consent covers that"):
        await invoked(evidence.app, *section, "--out", tmp_path / "section", "--config", desk.config)
    opened = await logged(installation, desk.organisation, ConsentEvent.OPENED)
    closed = await logged(installation, desk.organisation, ConsentEvent.CLOSED)
    assert [each["consent"] for each in (*opened, *closed)] == [asked["digest"]] * 2
    await desk.state("kim", "consent revoke", number, "--by", "kim")
    with pytest.raises(Exception, match="is revoked"):
        await traced(desk)
    found = await listed(desk)
    assert (found["can_consent"], found["consents"][0]["stage"]) == (True, "revoked")


async def test_every_command_that_shows_metadata_or_content_is_refused_without_a_consent(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    desk = await staffed(installation, config, two, tmp_path)
    organisation, out = str(desk.organisation), ("--out", tmp_path / "out", "--config", config)
    why = ("--by", "ola", "--reason", "test")
    recipient = ("--to", "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p")
    cases = [
        (evidence.app, ("export", organisation, MESSAGE, *why, *out)),
        (log_app, ("export", "--organisation", organisation, "--role", "mk", *why, *out)),
        (log_app, ("names", organisation, *recipient, *two, *out)),
        (org_app, ("export", organisation, *recipient, *two, *out)),
    ]
    for app, arguments in cases:
        with pytest.raises(Exception, match="no consent covers that"):
            await invoked(app, *arguments)
        assert not (tmp_path / "out").exists()
    refused = await logged(installation, desk.organisation, ConsentEvent.REFUSED)
    assert [each["command"] for each in refused] == [
        "evidence export",
        "log export",
        "log names",
        "org export",
    ]
    everything = ("--extent", "everything", "--ground", "security", "--ticket", "INC-1")
    await desk.state("kim", "consent request", *everything, "--to", "operator:ola", "--by", "kim")
    await invoked(log_app, "export", "--organisation", organisation, "--role", "mk", *why, *out)
    assert (tmp_path / "out").exists()


async def test_an_emergency_is_signed_by_two_and_answered_for(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    desk = await staffed(installation, config, two, tmp_path)
    stated = await desk.state("ola", "emergency state", *ABOUT, "--by", "operator:ola")
    number = str(stated["statement"])
    with pytest.raises(Unusable, match="approve their own request"):
        await desk.signed("ola", "emergency sign", number, "--by", "operator:ola")
    await desk.state("pia", "emergency sign", number, "--by", "operator:pia")
    assert (await traced(desk))[0] == 1
    for role in (Role.GOVERNANCE, Role.MESSAGE_CLIENT):
        (entry,) = await logged(installation, desk.organisation, EmergencyEvent.BEGUN, role)
        assert entry["second"] == "operator:pia"
    (row,) = (await listed(desk))["consents"]
    assert (row["kind"], row["stage"], row["unanswered"]) == ("emergency", "in-force", False)
    account = ("emergency account", number, "--done", "the queue was restarted")
    await desk.state("pia", *account, "--by", "operator:pia")
    shown = await desk.run("emergency list", "--reason", "test", "--json")
    assert json.loads(shown)["consents"][0]["account"] > 0
    reach = json.loads(await desk.run("emergency reach", "--reason", "test", "--json"))
    assert reach["content"] is True
    assert {each["opens"] for each in reach["vaults"]} == {"operator"}


async def test_unsigned_rights_are_signed_over_and_the_rest_is_settled(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    """Kim signs over a right that rested on an unsigned statement; a second officer approves the end."""
    desk = await staffed(installation, config, two, tmp_path)
    await unsigned_right(installation, desk)
    shown = json.loads(await desk.run("grant unsigned", "--reason", "test", "--json"))
    assert [row["signed"] for row in shown["rights"]] == [False, False]
    with pytest.raises(Unusable, match="2 rights would end"):
        await desk.signed("kim", "grant settle", "--by", "kim")
    folder = tmp_path / "over"
    words = await desk.run("grant sign-over", "--by", "kim", "--why", "beslut 14", "--folder", folder)
    commands = [shlex.split(line) for line in words.splitlines() if line.startswith("  ssh-keygen")]
    for command in commands[-2:]:
        ready = [str(tmp_path / "kim") if word == "KEY" else word for word in command]
        subprocess.run(ready, check=True, capture_output=True)
    appended = await desk.run("statement append-all", folder)
    assert appended.count("statement ") == 2
    rows = json.loads(await desk.run("grant unsigned", "--reason", "test", "--json"))["rights"]
    assert sorted(row["signed"] for row in rows) == [False, True], "the role still waits for approval"
    settled = await desk.state("kim", "grant settle", "--ending", "--by", "kim")
    assert settled["effect"] == "waiting"


async def unsigned_right(installation: Installation, desk: Desk) -> None:
    """Grant a role and a right to a mailbox by unsigned statements, as the pages once did."""
    from samdrift.messageclient.permissions import Assignments
    from samdrift.net.clock import system_clock
    from samdrift.rights import ORGANISATION, Approved, Given, Right, Rights, Scope, Subject
    from tests.unit.rights.building import KARIN, KURT
    from tests.unit.rights.signers import YEAR

    async with installation.open(desk.organisation, Role.MESSAGE_CLIENT) as vault:
        dag = Subject.parse(f"person:{await vault.know_person(Identity('https://x', 'dag', 'Dag'))}")
    stating = Assignments(installation.gate.worker("test", Role.MESSAGE_CLIENT), system_clock)
    role = Rights(dag, ORGANISATION, frozenset({Right.ADMINISTRATOR}))
    asked = await stating.state(
        desk.organisation, KARIN, "1", lambda at: Given(role, at, at + YEAR, asked=True)
    )
    await stating.state(desk.organisation, KURT, "1", lambda at: Approved(asked.digest))
    in_another_second()
    read = Rights(Subject.parse("person:eva"), Scope("skola"), frozenset({Right.READ}))
    await stating.state(desk.organisation, dag, "2", lambda at: Given(read, at, at + YEAR, asked=False))
    in_another_second()


async def test_custodians_appoint_nobody_beside_officers(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    """A role in the message client appointed by two of the operator's people would be a way to content."""
    desk = await staffed(installation, config, two, tmp_path)
    served(config, desk.organisation)
    who = ("--subject", "mallory", "--name", "Mallory")
    words = ("appoint", str(desk.organisation), "administrator", "--reason", "test", *two, "--config", config)
    with pytest.raises(Unusable, match="have keys and decide"):
        await invoked(mailbox_app, *words, *who)
    # By the time that a witness signed, the officers' keys have expired, although the clock says otherwise.
    await installation.witness(
        desk.organisation, Role.GOVERNANCE, datetime.now(UTC) + 3 * timedelta(days=365)
    )
    await invoked(mailbox_app, *words, *who)
