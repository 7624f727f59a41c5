"""Answers to strangers, which must not depend on the isolation level.

Runs last, since the installation goes on as one process.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from samdrift.config.isolation import IsolationConfig
from samdrift.installation.operator import running
from samdrift.keystore.durablefiles import private_folder
from tests.roles import web
from tests.roles.interfacec import InterfaceC
from tests.roles.isolation.house import PAGES, House, base_d, client, host_at, registration, visit
from tests.roles.member import AP, MT
from tests.roles.messageclient import MESSAGES
from tests.sizes import whole


async def strangers_see(house: House) -> dict[str, tuple[object, ...]]:
    """Return all answers to strangers, without the parts that differ each time."""
    seen: dict[str, tuple[object, ...]] = {}
    alfa, peer = house.alfa, house.stage.peer()
    envelope = peer.encloses(alfa)
    for name, changes in (
        ("to nobody", {"final_recipient": "0203:okand.example.se"}),
        ("of another party", {"from_party": "AP9999-SDK-DEMO"}),
    ):
        seen[f"A {name}"] = tuple((await peer.posts(envelope, alfa, changes)).errors())
    tls = web.tls(alfa.config.inner_issuers)
    origin = alfa.as4_address.rpartition("/")[0]
    for method, url, body in (
        ("POST", alfa.as4_address, b"no message"),
        ("GET", alfa.as4_address, None),
        ("POST", f"{origin}/elsewhere", b""),
    ):
        seen[f"A {method} {url}"] = told(await web.call(tls, method, url, body), bare=body == b"no message")
    mine = web.tls(alfa.config.inner_issuers, await alfa.client_tls())
    foreign = InterfaceC(f"{alfa.own_config.access_point}/c/v1", mine)
    agency = InterfaceC(
        foreign.base, web.tls(alfa.config.inner_issuers, await house.stage.agency.client_tls())
    )
    for name, caller in (("known", foreign), ("not known", agency)):
        seen[f"C {name}"] = told(await caller.call("GET", "/nothing"))
        seen[f"C {name}, poll"] = told(await caller.poll_with("no poll"))
        seen[f"C {name}, description"] = told(await caller.call("GET", "/openapi.json"))
    token = (await client(house, house.alfa)).token
    for name, headers in (
        ("nothing", {}),
        ("no token", {"authorization": "Bearer x"}),
        ("changed", {"authorization": f"Bearer {token[:-8]}AAAAAAAA"}),
        ("another issuer", {"authorization": f"Bearer {_of_nobody(token)}"}),
    ):
        for path in (MESSAGES, "/v1/nothing", "/v1/openapi.json"):
            seen[f"D {name} {path}"] = told(await web.call(tls, "GET", base_d(alfa) + path, None, headers))
    public = registration(alfa, MT).public_name
    for issuer in (public, "0" * 32, "nobody", ""):
        for path in (
            f"/v1/oauth2/{issuer}/jwks",
            f"/.well-known/oauth-authorization-server/v1/oauth2/{issuer}",
        ):
            seen[f"D {path}"] = told(await web.call(tls, "GET", base_d(alfa) + path))
        answer = await web.call(tls, "POST", f"{base_d(alfa)}/v1/oauth2/{issuer}/token", b"x=y")
        seen[f"D token of {issuer}"] = told(answer)
    for role in PAGES:
        for named in (host_at(alfa, role), host_at(house.beta, role), "eksjo.localhost", "", "a.localhost b"):
            for path in ("/health", "/", "/v1/messages"):
                answer = await visit(house, alfa, role, path, named)
                seen[f"{role} {named} {path}"] = told(answer)
    return seen


def told(answer: web.Answer, *, bare: bool = False) -> tuple[object, ...]:
    """Return status, fields and body; of a signed AS4 error only that it is one.

    A promise of the log is left out: it differs with each answer, and whether there is one depends on what
    the process already had open.
    """
    left_out = {"samdrift-log-promise", *(["content-length"] if bare else [])}
    fields: Mapping[str, str] = {
        name: value for name, value in answer.headers.items() if name not in left_out
    }
    return answer.status, sorted(fields.items()), b"" if bare else answer.body


def _of_nobody(token: str) -> str:
    head, claims, signature = token.split(".")
    document = json.loads(base64.urlsafe_b64decode(claims + "=="))
    document["iss"] = "https://elsewhere.example/issuer"
    changed = base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")
    return f"{head}.{changed}.{signature}"


def _link_among_objects(house: House) -> Path:
    """Link to root's folder among an organisation's objects, as its worker could; return a file there."""
    vaults = house.alfa.config.vaults
    assert isinstance(vaults.objects, Path)
    file = vaults.secrets.parent / "roots" / "passwd"
    file.parent.mkdir()
    file.write_bytes(b"root's")
    os.utime(file, (0, 0))
    objects = private_folder(vaults.objects / registration(house.alfa, AP).vault)
    (objects / "roots").symlink_to(file.parent)
    return file


@whole
async def test_strangers_get_the_answers_that_one_process_for_all_would_give(house: House) -> None:
    """This is the last test, since the installation goes on as one process.

    At its start it sweeps, as root, the files that workers left among their objects: links must lead it
    nowhere.
    """
    planted = _link_among_objects(house)
    apart = await strangers_see(house)
    await house.process.stop()
    config = replace(house.alfa.config, isolation=IsolationConfig())
    async with running(config):
        together = await strangers_see(house)
    assert apart == together
    assert planted.exists()
