"""The trial of a message service: each fault ends it at its step, with its own explanation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from samdrift.contracts.addressbook import Listing
from samdrift.contracts.principals import Role
from samdrift.messageclient.administering.service import STEPS, TROUBLES
from samdrift.messageclient.servicecheck import Step, Tried, Trouble, try_service
from samdrift.messageclient.working import ServiceSettings
from samdrift.net.clock import system_clock
from samdrift.net.server import listening_socket, serving
from samdrift.wire.addressbook import AddressBookCopy
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.pki import key

ROLES = (Role.MESSAGE_CLIENT,)
ORGANISATION = ParticipantIdentifier("0203:habo.se")
ADDRESS = "inkorg01:0203:habo.se"
PEM = key(1).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass
class Service:
    """A message service with its authorisation server, with answers that a test sets."""

    token: tuple[int, object] = (200, {"access_token": "t", "token_type": "Bearer", "expires_in": 60})
    listing: tuple[int, object] = (200, {"data": []})
    asked: list[str] = field(default_factory=list)

    async def give_token(self, request: Request) -> Response:
        self.asked.append(request.method)
        if request.method == "GET":
            return Response(status_code=405)
        return JSONResponse(self.token[1], self.token[0])

    async def list(self, request: Request) -> Response:
        self.asked.append(f"list {request.query_params}")
        return JSONResponse(self.listing[1], self.listing[0])


class Book:
    """An address book with the same answer for every address."""

    copy: AddressBookCopy | None = None

    def __init__(self, answer: Listing = Listing.LISTED) -> None:
        self._answer = answer

    async def listing(self, organisation: ParticipantIdentifier, address: str) -> Listing:
        return self._answer


@asynccontextmanager
async def served(service: Service) -> AsyncIterator[ServiceSettings]:
    routes = [
        Route("/token", service.give_token, methods=["GET", "POST"]),
        Route("/v1/sdk/messages", service.list),
    ]
    sock = listening_socket("127.0.0.1")
    async with serving(Starlette(routes=routes), sock):
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        yield ServiceSettings(ORGANISATION, f"{url}/v1", f"{url}/token", "habo", PEM, public_only=False)


@pytest_asyncio.fixture
async def service() -> Service:
    return Service()


async def tried(settings: ServiceSettings, book: Book | None = None) -> tuple[Tried, ...]:
    return await try_service(settings, {ADDRESS: "Socialtjänst"}, book or Book(), system_clock)


async def test_a_service_that_works_passes_every_step_and_nothing_is_changed(service: Service) -> None:
    async with served(service) as settings:
        found = await tried(settings)
    assert [one.trouble for one in found] == [None] * len(found)
    assert {one.step for one in found} == set(Step)
    assert not any(each.startswith(("PUT", "DELETE")) for each in service.asked)


@pytest.mark.parametrize(
    ("change", "step", "trouble"),
    [
        ({"interface": "http://nowhere.invalid/v1"}, Step.NAME, Trouble.NO_NAME),
        ({"interface": "http://127.0.0.1:9/v1"}, Step.CONNECTION, Trouble.NO_ANSWER),
        ({"public_only": True}, Step.CONNECTION, Trouble.NOT_ALLOWED),
        ({"key": b"no key"}, Step.TOKEN, Trouble.KEY),
    ],
)
async def test_settings_that_are_wrong_end_it_at_their_step(
    service: Service, change: dict[str, object], step: Step, trouble: Trouble
) -> None:
    async with served(service) as settings:
        *before, last = await tried(replace(settings, **change))  # type: ignore[arg-type]
    assert (last.step, last.trouble) == (step, trouble)
    assert not any(one.trouble for one in before)


@pytest.mark.parametrize(
    ("answers", "step", "trouble"),
    [
        ({"token": (401, {"error": "invalid_client"})}, Step.TOKEN, Trouble.REFUSED_TOKEN),
        ({"token": (200, {})}, Step.TOKEN, Trouble.NO_TOKEN),
        ({"token": (503, {})}, Step.TOKEN, Trouble.NO_TOKEN),
        ({"listing": (403, {"title": "Forbidden", "detail": "hemligt"})}, Step.LIST, Trouble.REFUSED_LIST),
        ({"listing": (200, {"data": 7})}, Step.LIST, Trouble.NO_LIST),
    ],
)
async def test_a_service_that_says_no_ends_it_without_words_of_its_own(
    answers: dict[str, tuple[int, object]], step: Step, trouble: Trouble
) -> None:
    async with served(Service(**answers)) as settings:  # type: ignore[arg-type]
        *_, last = await tried(settings)
    assert (last.step, last.trouble) == (step, trouble)
    assert "hemligt" not in last.detail


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [(Listing.NOT_LISTED, Trouble.NOT_LISTED), (Listing.NOT_KNOWN, Trouble.BOOK_UNKNOWN)],
)
async def test_an_address_that_nobody_else_finds_is_said(
    service: Service, answer: Listing, trouble: Trouble
) -> None:
    async with served(service) as settings:
        *_, last = await tried(settings, Book(answer))
    assert (last.step, last.about, last.trouble) == (Step.BOOK, ADDRESS, trouble)


async def test_a_certificate_that_is_not_trusted_is_told_from_silence(service: Service) -> None:
    """A service without TLS where TLS is expected counts too: either way the certificate needs attention."""
    async with served(service) as settings:
        https = settings.interface.replace("http:", "https:")
        *_, last = await tried(replace(settings, interface=https))
    assert (last.step, last.trouble) == (Step.CONNECTION, Trouble.NOT_TRUSTED)


def test_every_step_and_every_trouble_has_words() -> None:
    assert (set(STEPS), set(TROUBLES)) == (set(Step), set(Trouble))
