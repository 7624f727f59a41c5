"""Keys that are entered on pages as text: an OpenSSH key, a directory's key, or a code on paper."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from samdrift.governance.papercode import new_code, public_of
from samdrift.rights import Approved, Subject
from samdrift.rights.keyacts import Enrolled, Lost, Scheme
from samdrift.web.formats import SWEDEN
from samdrift.wire.crypto.sshsig import armoured
from tests.unit.governance.office import AUDITOR, Office, office, statement_on
from tests.unit.rights.building import AD, ANNA, BO, CILLA
from tests.unit.rights.signers import Authenticator, SecurityKey, Signer, Ssh
from tests.vaults import Installation

OPENSSH, PAPER, DIRECTORY = "/keys/openssh", "/keys/paper", "/officers/directory"
PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----"


@pytest_asyncio.fixture
async def open_office(installation: Installation) -> AsyncIterator[Office]:
    async with office(installation) as opened:
        yield opened


async def in_force(opened: Office, who: Subject) -> list[str]:
    opened.in_another_second()
    record = await opened.role.records.read(opened.organisation)
    return [each.key.fingerprint for each in record.keys.in_force(opened.second(), who)]


async def signed_by_text(opened: Office, who: Subject, path: str, fields: dict[str, str]) -> Enrolled:
    """Fill in a form and sign its statement by passkey or OpenSSH; return the resulting act."""
    opened.in_another_second()
    visitor, signer = await opened.visit(who), opened.house.signers[who]
    page = await visitor.post(path, fields)
    signed = signer.sign(statement_on(page))
    content = signed.statement.content.decode()
    if isinstance(signed.signature, bytes):
        answer = await visitor.post("/sign", {"statement": content, "sshsig": armoured(signed.signature)})
    else:
        answer = await visitor.brings(content, signed)
    assert answer.status_code == 303, answer.text[-2000:]
    assert isinstance(signed.statement.act, Enrolled)
    return signed.statement.act


@pytest.mark.parametrize(
    "made", [Ssh(CILLA, "cilla"), SecurityKey(CILLA, 3), SecurityKey(CILLA, 4, ecdsa=True)]
)
async def test_a_person_offers_a_key_of_openssh_that_two_officers_enrol(
    open_office: Office, made: Signer
) -> None:
    cilla, anna = await open_office.visit(CILLA), await open_office.visit(ANNA)
    line = f"{made.key.public} cilla@dator\n"
    assert (await cilla.post(OPENSSH, {"public": line, "why": "min dator"})).status_code == 303
    own = (await cilla.get("/keys?offered")).text
    assert made.key.fingerprint[:16] in own
    page = (await anna.get(f"/officers/offered/{CILLA.id}")).text
    assert "OpenSSH-nyckel" in page
    assert made.key.fingerprint[:16] in page
    assert "Skapad för" not in page
    fields = {"key": made.key.fingerprint, "why": "har ringt"}
    act = await signed_by_text(open_office, ANNA, f"/officers/offered/{CILLA.id}", fields)
    assert (act.to, act.key) == (CILLA, made.key)
    record = await open_office.role.records.read(open_office.organisation)
    await open_office.state(BO, Approved(record.entries[-1].statement.digest))
    assert await in_force(open_office, CILLA) == [made.key.fingerprint]


async def test_an_officer_asks_for_a_further_key_of_their_own(open_office: Office) -> None:
    further = Ssh(ANNA, "further")
    fields = {"public": further.key.public, "why": "ny dator"}
    act = await signed_by_text(open_office, ANNA, OPENSSH, fields)
    assert (act.to, act.key) == (ANNA, further.key)
    assert further.key.fingerprint not in await in_force(open_office, ANNA), (
        "another person has to approve the key"
    )


@pytest.mark.parametrize(
    "public",
    ["", "ssh-ed25519", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==", "ssh-ed25519 AAAA", "x" * 5000],
    ids=["nothing", "a kind alone", "RSA", "no key", "long"],
)
@pytest.mark.parametrize("path", [OPENSSH, DIRECTORY])
async def test_a_text_that_is_no_public_key_is_refused_and_what_was_typed_stays(
    open_office: Office, path: str, public: str
) -> None:
    fields = {"public": public, "why": "min dator", "directory": "ad", "name": "Håbo AD"}
    answer = await (await open_office.visit(ANNA)).post(path, fields)
    assert answer.status_code == 422
    assert 'href="#public"' in answer.text
    assert "min dator" in answer.text


@pytest.mark.parametrize("path", [OPENSSH, DIRECTORY])
async def test_a_private_key_that_is_pasted_is_not_repeated(open_office: Office, path: str) -> None:
    pasted = Ssh(ANNA, "secret").private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    fields = {"public": pasted.decode(), "why": "min dator", "directory": "ad", "name": "Håbo AD"}
    answer = await (await open_office.visit(ANNA)).post(path, fields)
    assert answer.status_code == 422
    assert "Det var den privata delen" in answer.text
    assert PRIVATE not in answer.text
    assert pasted.decode().split("\n")[1][:40] not in answer.text
    assert "min dator" in answer.text
    logged = repr([(entry.event, entry.ids) for entry in await open_office.log()])
    assert pasted.decode().split("\n")[1][:40] not in logged


async def test_a_directory_is_asked_for_by_one_officer_and_approved_by_another(open_office: Office) -> None:
    key = Ssh(AD, "ad").key
    fields = {"directory": "ad", "name": "Håbo AD", "public": f"{key.public} habo-ad", "why": "beslut 21"}
    act = await signed_by_text(open_office, ANNA, DIRECTORY, fields)
    assert (act.to, act.name, act.key) == (AD, "Håbo AD", key)
    assert await in_force(open_office, AD) == []
    record = await open_office.role.records.read(open_office.organisation)
    assert (
        f"/decide/{record.entries[-1].statement.digest}"
        in (await (await open_office.visit(BO)).get("/")).text
    )
    await open_office.state(BO, Approved(record.entries[-1].statement.digest))
    assert await in_force(open_office, AD) == [key.fingerprint]
    assert "Håbo AD" in (await (await open_office.visit(AUDITOR)).get("/officers")).text


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"directory": ""}, "directory"),
        ({"directory": "ad#x"}, "directory"),
        ({"directory": "a d"}, "directory"),
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "Håbo\u202eAD"}, "name"),
        ({"why": ""}, "why"),
    ],
)
async def test_a_directory_that_cannot_be_is_refused_with_the_field(
    open_office: Office, change: dict[str, str], field: str
) -> None:
    fields = {"directory": "ad", "name": "Håbo AD", "public": Ssh(AD, "ad").key.public, "why": "beslut 21"}
    answer = await (await open_office.visit(ANNA)).post(DIRECTORY, fields | change)
    assert (answer.status_code, f'href="#{field}"' in answer.text) == (422, True)


async def test_the_code_on_paper_is_enrolled_by_its_public_key_and_serves_when_all_else_is_lost(
    open_office: Office,
) -> None:
    code = new_code()
    act = await signed_by_text(open_office, ANNA, PAPER, {"public": public_of(code), "why": "i kassaskåpet"})
    assert (act.to, act.key.scheme) == (ANNA, Scheme.PAPER)
    record = await open_office.role.records.read(open_office.organisation)
    await open_office.state(BO, Approved(record.entries[-1].statement.digest))
    assert act.key.fingerprint in await in_force(open_office, ANNA)
    visitor, new = await open_office.visit(ANNA), Authenticator(ANNA, 12)
    fields = {"why": "ny nyckel", "public": new.key.public, "credential": new.key.credential}
    content = statement_on(await visitor.post("/keys", fields)).content.decode()
    answer = await visitor.post("/sign", {"statement": content, "signature": "", "code": code})
    assert answer.status_code == 303
    record = await open_office.role.records.read(open_office.organisation)
    await open_office.state(BO, Approved(record.entries[-1].statement.digest))
    found = await in_force(open_office, ANNA)
    assert new.key.fingerprint in found
    assert act.key.fingerprint not in found, "a code can be used only once"


async def test_a_key_is_lost_from_the_beginning_of_a_day_in_sweden(open_office: Office) -> None:
    """What the key signed just after midnight is reviewed as well."""
    record = await open_office.role.records.read(open_office.organisation)
    key = next(record.keys.in_force(open_office.house.now, ANNA))
    day = open_office.house.now.astimezone(SWEDEN).date() - timedelta(days=1)
    fields = {"how": "lost", "why": "borta", "since": day.isoformat()}
    page = await (await open_office.visit(ANNA)).post(f"/keys/{key.id}/lost", fields)
    act = statement_on(page).act
    assert isinstance(act, Lost)
    assert act.since == datetime.combine(day, datetime.min.time(), SWEDEN)


async def test_without_a_code_of_the_browsers_nothing_is_asked_for_and_a_code_stays_where_a_reason_lacks(
    open_office: Office,
) -> None:
    visitor = await open_office.visit(ANNA)
    assert "som din webbläsare inte kör" in (await visitor.get(PAPER)).text
    for public in ("", Ssh(ANNA, "x").key.public[:-8], SecurityKey(ANNA, 3).key.public):
        answer = await visitor.post(PAPER, {"public": public, "why": "x"})
        assert answer.status_code == 422
        assert "Webbläsaren har inte skapat någon kod" in answer.text
    public = public_of(new_code())
    answer = await visitor.post(PAPER, {"public": public, "why": ""})
    assert answer.status_code == 422
    assert f'name="public" value="{public}"' in answer.text
    assert "Koden som du har skrivit ner gäller fortfarande" in answer.text


async def test_only_officers_have_codes_and_enrol_directories(open_office: Office) -> None:
    for who in (AUDITOR, CILLA):
        visitor = await open_office.visit(who)
        assert PAPER not in (await visitor.get("/keys")).text
        for path in (PAPER, DIRECTORY):
            assert (await visitor.get(path)).status_code == 404
            assert (await visitor.post(path, {"why": "x"})).status_code == 404
