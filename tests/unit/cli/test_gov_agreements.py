"""`samdrift gov party` and `agreement`: people enter, countersign and end agreements with their own keys."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from samdrift.cli.gov import report
from samdrift.config.errors import Unusable
from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.governance.duties import catalogue
from samdrift.governance.duties.catalogue import PassOn, shipped
from samdrift.installation.vaultsettings import key_store
from samdrift.keystore.interface import OPERATOR_KEYS
from samdrift.keystore.keyfiles import KeyName
from samdrift.rights.agreements import Function, Party
from samdrift.rights.statements import Statement
from samdrift.wire.crypto.keys import SigningKey
from tests.programs import requires
from tests.unit.administration.closings import certify, certify_operator
from tests.unit.cli import test_gov_signing
from tests.unit.cli.test_gov_signing import Desk, in_another_second, in_days, opened
from tests.unit.rights.agreementbuilding import OPERATOR, TOWN, agreed
from tests.vaults import Installation

pytestmark = requires("ssh-keygen", "openssh-client")
config, two = test_gov_signing.config, test_gov_signing.two
PASSED_ON = [each.id for each in shipped()[-1].duties.values() if each.pass_on is not PassOn.NO]


def terms(desk: Desk, **changed: Any) -> Path:
    """Write a file with an agreement, as a person would."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    whole = agreed(
        TOWN,
        OPERATOR,
        PASSED_ON,
        Function,
        start=start,
        end=start + timedelta(days=365),
        organisations=(desk.organisation.value,),
    )
    file = desk.folder / "agreement.json"
    members = {name: value for name, value in (whole.members() | changed).items() if value is not None}
    file.write_text(json.dumps(members, indent=2))
    return file


async def two_officers(
    installation: Installation,
    config: Path,
    two: list[str],
    folder: Path,
    roles: Collection[Role] = (Role.GOVERNANCE,),
) -> Desk:
    """Return an organisation whose second officer was requested by the first and approved by a custodian."""
    desk = Desk(config, await installation.organisation(roles), folder)
    kim = ("--key", desk.key("kim"), "--name", "Kim", "--person", "kim")
    await desk.run("officer enrol", *kim, "--role", "administrator", *two)
    in_another_second()  # A role gives authority only after the second in which it begins.
    alex = ("--key", desk.key("alex"), "--name", "Alex", "--person", "alex")
    role = ("--to", "alex", "--rights", "security-officer", "--until", in_days(180))
    for asked in (("officer enrol", *alex), ("grant give", *role)):
        stated = await desk.state("kim", *asked, "--by", "kim")
        await desk.run("officer confirm", str(stated["statement"]), *two[:4])
    in_another_second()
    return desk


async def known(desk: Desk) -> None:
    """State both parties."""
    for party, name, more in (
        (TOWN, "Kommunen", ("--form", "municipality", "--participant", desk.organisation.value)),
        (OPERATOR, "Driften AB", ("--form", "company")),
    ):
        await desk.state("kim", "party state", str(party), "--name", name, *more, "--by", "kim")


async def test_an_agreement_is_entered_countersigned_and_covers_until_it_is_ended(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    desk = await two_officers(installation, config, two, tmp_path)
    await known(desk)
    entered = await desk.state("kim", "agreement enter", terms(desk), "--by", "kim")
    assert entered["effect"] == "waiting"
    (row,) = json.loads(await desk.run("agreement list", "--json"))["agreements"]
    assert row["state"] == "waits"
    assert "not covered" in await desk.run("coverage")
    with pytest.raises(Unusable):
        await desk.signed("kim", "agreement countersign", str(entered["statement"]), "--by", "kim")
    await desk.state("alex", "agreement countersign", str(entered["statement"]), "--by", "alex")
    assert (await desk.run("coverage", "--operator", str(OPERATOR))).splitlines()[-1] == "covered"
    found = json.loads(await desk.run("report", "--offline", "--json"))
    rows = {each["duty"]: each for each in found["rows"]}
    assert rows["gdpr-28.3"]["status"] == "held"
    assert rows["sdk-sep"]["status"] == "gap", "no isolation check has been made"
    (old := tmp_path / "old.json").write_text(of_2020())
    found = json.loads(await desk.run("report", "--offline", "--json", "--catalogue", old))
    rows = {each["duty"]: each for each in found["rows"]}
    assert [rows[each]["status"] for each in in_use(rows)] == ["stale"]
    assert (await desk.run("party list")).count("(own)") == 1
    await desk.state("alex", "agreement at-end", "continue", "--by", "alex")
    await desk.state("alex", "agreement end", str(entered["statement"]), "--by", "alex")
    assert "not covered" in await desk.run("coverage")


async def test_what_is_to_be_signed_is_shown_whole(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    desk = await opened(installation, config, two, tmp_path)
    await known(desk)
    file, shown = await desk.signed("kim", "agreement enter", terms(desk), "--by", "kim")
    stated = json.loads(file.read_bytes())
    assert Statement.parse(file.read_bytes()).kind == "agreement"
    for each in stated["duties"]:
        assert each["duty"] in shown
    for name in ("principal", "performer", "document", "from", "until"):
        assert stated[name] in shown
    assert "for organisations" in shown


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"document": "x"}, "document"),
        ({"until": "2020-01-01T00:00:00Z"}, "until"),
        ({"from": "2026-01-01"}, "from"),
        ({"note": "x"}, "note"),
        ({"performer": None}, "performer"),
        ({"duties": [{"duty": "sdk-sep", "clause": "a\u202eb"}]}, "duties"),
    ],
)
async def test_a_malformed_agreement_is_refused_with_the_field_and_nothing_is_written(
    installation: Installation,
    config: Path,
    two: list[str],
    tmp_path: Path,
    changed: dict[str, Any],
    field: str,
) -> None:
    organisation = await installation.organisation([Role.GOVERNANCE])
    desk = Desk(config, organisation, tmp_path)
    out = tmp_path / "statement"
    with pytest.raises(Unusable, match=field):
        await desk.run("agreement enter", terms(desk, **changed), "--by", "kim", "--out", out, "--why", "x")
    assert not out.exists()
    assert json.loads(await desk.run("statement list", "--json"))["statements"] == []


async def test_a_duty_that_the_catalogue_has_cannot_be_let_go(config: Path, tmp_path: Path) -> None:
    desk = Desk(config, test_gov_signing.ParticipantIdentifier.parse("0203:habo.se"), tmp_path)
    with pytest.raises(Unusable, match="cannot be let go"):
        await desk.run("agreement release", "sdk-sep", "--by", "kim", "--out", tmp_path / "x", "--why", "x")


async def test_a_joint_board_sees_members_with_an_agreement_and_is_in_the_log_of_each(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    board = Party(OPERATOR.country, OPERATOR.number, "it")
    desks = []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        desks.append(await two_officers(installation, config, two, folder))
    one, other = desks
    for desk in desks:
        await known(desk)
        await desk.state(
            "kim", "party state", str(board), "--name", "Nämnden", "--form", "joint-board", "--by", "kim"
        )
    asked = ("board", str(board), str(one.organisation), str(other.organisation), "--reason", "tertial")
    entered = []
    for desk in desks:
        with pytest.raises(Unusable, match=f"{desk.organisation.value}: it has no agreement in force"):
            await desk.run(*asked, whose=False)
        paper = terms(desk, performer=str(board), signatories=[
            {"party": str(each), "name": "Ansvarig Person"} for each in sorted((TOWN, board))
        ])  # fmt: skip
        entered.append(await desk.state("kim", "agreement enter", paper, "--by", "kim"))
        await desk.state("alex", "agreement countersign", str(entered[-1]["statement"]), "--by", "alex")
    await one.run("report", "--offline")
    found = json.loads(await one.run(*asked, "--json", whose=False))
    assert [each["report_at"] is None for each in found["members"]] == [False, True]
    assert all(set(row["statuses"]) == {each.organisation.value for each in desks} for row in found["rows"])
    page = tmp_path / "page.html"
    assert "no report" in await one.run(*asked, "--html", page, whose=False)
    assert "Ansvarig Person" not in page.read_text()
    for desk in desks:
        async with installation.open(desk.organisation, Role.GOVERNANCE) as vault:
            run = [each.ids for each in await vault.log(0, 1000) if each.event == "org:command:run"]
        assert [each["command"] for each in run].count("gov board") >= 2


def in_use(rows: dict[str, Any]) -> list[str]:
    """Return the duties whose evidence is the catalogue itself."""
    return [key for key, row in rows.items() if "catalogue.in-use" in str(row["evidence"])]


def of_2020() -> str:
    """Return the newest catalogue, dated 2020 as if it had not been replaced since."""
    newest = max(Path(catalogue.__file__).parent.glob("*.json"), key=lambda file: file.name)
    return json.dumps(json.loads(newest.read_text()) | {"version": "2020-01", "date": "2020-01-01"})


async def test_a_report_is_signed_with_the_operators_key_and_not_its_customers(
    installation: Installation, config: Path, two: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key of the organisation is its own word: the operator must not put that under its own report."""
    by = list[SigningKey]()
    keys = key_store(load(config))
    certify_operator(keys)

    async def signing(content: bytes, key: SigningKey) -> bytes:
        by.append(key)
        return content

    async def setting(*_: object) -> bytes:
        return b"%PDF-"

    monkeypatch.setattr(report, "signed_pdf", signing)
    monkeypatch.setattr(report.Typesetter, "pdf", setting)
    desk = await two_officers(installation, config, two, tmp_path, (Role.MESSAGE_SERVICE, Role.GOVERNANCE))
    service = installation.gate.registry.find(desk.organisation, Role.MESSAGE_SERVICE)
    assert service is not None
    certify(keys, service.vault, KeyName.SIGNING)
    await desk.run("report", "--offline", "--pdf", tmp_path / "report.pdf")
    own = keys.signing_key(OPERATOR_KEYS, KeyName.ACCESS_POINT)
    assert [each.certificate for each in by] == [own.certificate]
