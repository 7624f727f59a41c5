"""The front: listens at the addresses of an installation and forwards each request to its worker.

It holds the TLS server's key, but no organisation's secrets. It reads parts of a request only to choose the
worker, and does not verify them.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Scope

from samdrift.accesspoint.inbound import LATER
from samdrift.accesspoint.problems import answer_unavailable
from samdrift.audit.operations import unexpected
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.installation.doors import ROLES, Door
from samdrift.installation.health import Condition
from samdrift.installation.listeners import PublicDoors
from samdrift.installation.metrics import metrics_application, named_in_metrics
from samdrift.installation.replaceable import registered_clients
from samdrift.messageservice.interface_d.problems import problem
from samdrift.messageservice.oauth.registrations import METADATA, PATH
from samdrift.net.following import Followed, file_state
from samdrift.net.forwarding import Forwarder
from samdrift.net.front import Front
from samdrift.net.guard import guarded
from samdrift.net.logserving import role_named
from samdrift.net.origins import host_named, later
from samdrift.net.server import CLIENT_CERTIFICATE
from samdrift.net.tls import TlsIdentity
from samdrift.processes.handover import NOBODY, FrontHandOver, Routes, certificate_files, place_of
from samdrift.processes.loglines import name_in_log, write_lines
from samdrift.processes.memory import MemoryMetrics
from samdrift.processes.metrics import Gathered, Worker
from samdrift.vault.errors import VaultUnavailable
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.jose.jwt import JwtInvalid, UnverifiedJwt

_LATER_D = {"retry-after": "30"}
_LOGGER = logging.getLogger("samdrift")


class Directory:
    """A directory of the workers, built from the supervisor's current routes and the configuration file."""

    def __init__(self, config: Config, handed: FrontHandOver) -> None:
        self._folder = handed.folder
        self._own_issuers = (config.message_service.address_d if config.message_service else "") + PATH
        self._clients = registered_clients(config)
        self._issuers = _external_issuers(handed.config)
        self._hosts = _hosts(handed.config)
        self.routes = handed.routes

    def told(self, line: bytes) -> None:
        """Replace the routes with those that the supervisor sent."""
        self.routes = Routes.read(line)

    def conditions(self) -> list[Condition]:
        """Return the state of the installation's dependencies as reported by the supervisor."""
        return [Condition.read(one) for one in self.routes.conditions]

    def of_recipient(self, recipient: ParticipantIdentifier | None) -> Path:
        """Return the worker for a request at interface A, by the envelope's recipient."""
        return self._worker(recipient, Door.A)

    def of_client(self, scope: Scope) -> Path:
        """Return the worker for a request at interface C, by the client's certificate.

        A path may name the log of another worker of the same organisation.
        """
        client = self._clients().get(scope.get(CLIENT_CERTIFICATE) or "")
        whose = client.organisation if client else None
        role = role_named(scope["path"], "/c/v1")
        return (whose and role and self._log_of(whose.value, role)) or self._worker(whose, Door.C)

    def of_issuer(self, scope: Scope) -> Path:
        """Return the worker for a request at interface D, by the issuer in its path or access token."""
        request = Request(scope)
        name = _named_in(request.url.path) or self._named_by(request.headers.get("authorization", ""))
        known = name if name in self.routes.of(Role.MESSAGE_SERVICE).values() else NOBODY
        return place_of(self._folder, known, Door.D)

    def onward(self, scope: Scope, judged: Path, role: str) -> Path | None:
        """Return the worker that serves the requested log, once a message service has judged the request.

        ``judged`` is the socket of that message service, and ``role`` the role whose log is requested.
        Returns ``None`` when the request is not for such a log.
        """
        names = self.routes.of(Role.MESSAGE_SERVICE).items()
        whose = [each for each, name in names if place_of(self._folder, name, Door.D) == judged]
        if not whose or role_named(scope["path"], "/v1") != role or scope["method"] != "GET":
            return None
        return self._log_of(whose[0], role)

    def of_host(self, door: Door, scope: Scope) -> Path:
        """Return the worker for a request for pages, by the organisation's host that the request names."""
        organisation = self._hosts()[door].get(host_named(scope))
        return self._worker(organisation, door)

    def measured(self) -> list[Worker]:
        """List every worker with the socket for its metrics."""
        workers = self.routes.workers.items()
        found = [(role, whose, name) for role, names in workers for whose, name in names.items()]
        return [
            Worker(place_of(self._folder, name, Door.METRICS), kind, whose)
            for kind, whose, name in [*found, (NOBODY, None, NOBODY)]
        ]

    def _worker(self, organisation: ParticipantIdentifier | None, door: Door) -> Path:
        """Return the socket of the organisation's worker for ``door``; the catch-all worker's by default."""
        named = organisation.value if organisation is not None else ""
        return place_of(self._folder, self.routes.of(ROLES[door]).get(named, NOBODY), door)

    def _log_of(self, whose: str, role: str) -> Path | None:
        """Return the socket at which an organisation's worker serves its log; ``None`` without one."""
        worker = self.routes.workers.get(role, {}).get(whose)
        return None if worker is None else place_of(self._folder, worker, Door.LOG)

    def _named_by(self, authorization: str) -> str:
        """Return the worker of the issuer that the bearer token names; the token is not verified."""
        try:
            issuer = UnverifiedJwt.read(authorization.partition(" ")[2].strip()).issuer
        except JwtInvalid:
            return NOBODY
        prefix = self._own_issuers.format(name="")
        if issuer.startswith(prefix):
            return issuer.removeprefix(prefix)
        return self.routes.of(Role.MESSAGE_SERVICE).get(self._issuers().get(issuer, ""), NOBODY)


@contextlib.asynccontextmanager
async def fronting(handed: FrontHandOver, sockets: Mapping[Door, socket.socket]) -> AsyncIterator[Directory]:
    """Serve the addresses that were handed over; all are reachable when the context is entered."""
    config = load(handed.config)
    write_lines(config.log_lines, name_in_log(handed.kind, handed.organisation))
    directory = Directory(config, handed)
    forwarder = Forwarder()
    front = Front(forwarder, _broken_off)
    applications: dict[Door, ASGIApp] = {
        Door.A: front.by_addressee("interface A", directory.of_recipient, _later_a),
        Door.C: front.by_head("interface C", directory.of_client, _later_c),
        Door.D: front.by_head("interface D", directory.of_issuer, _later_d, directory.onward),
        Door.MK: front.by_head("the message client", partial(directory.of_host, Door.MK), _later_page),
        Door.GOV: front.by_head("governance", partial(directory.of_host, Door.GOV), _later_page),
    }
    doors = PublicDoors(config, partial(_identities, handed), sockets.__getitem__)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(forwarder.aclose)
        for door in handed.doors:
            if door is Door.METRICS:
                named = named_in_metrics(config)
                gathered = Gathered(
                    forwarder,
                    directory.measured,
                    MemoryMetrics(handed, named=named),
                    named=named,
                    alarms=lambda: directory.routes.alarms,
                    conditions=directory.conditions,
                )
                applications[door] = metrics_application(
                    gathered.registry, gathered.gather, directory.conditions, found=gathered.found
                )
            application = applications[door]
            await doors.open(stack, door, guarded(application, unexpected(f"the front, {door.value}")))
        yield directory


def _identities(handed: FrontHandOver) -> Sequence[TlsIdentity]:
    """Return the server's current certificates and keys, as the supervisor last wrote them."""
    files = itertools.takewhile(Path.is_file, certificate_files(handed.folder))
    return [TlsIdentity(file, password=handed.password) for file in files]


def _hosts(file: Path) -> Callable[[], Mapping[Door, Mapping[str, ParticipantIdentifier]]]:
    """Return a function that maps each host of pages to its organisation, by door."""

    def read() -> Mapping[Door, Mapping[str, ParticipantIdentifier]]:
        config = load(file)
        return {door: config.hosts(ROLES[door]) for door in (Door.MK, Door.GOV)}

    return Followed("hosts of pages", read, lambda: file_state(file)).current


def _external_issuers(file: Path) -> Callable[[], Mapping[str, str]]:
    """Return a function that maps each external authorisation server's issuer to its organisation."""

    def read() -> Mapping[str, str]:
        found = ((one.external_issuer, one.identifier) for one in load(file).organisations)
        return {external.issuer: whose.value for external, whose in found if external is not None}

    return Followed("external issuers", read, lambda: file_state(file)).current


def _named_in(path: str) -> str:
    """Return the issuer in the path of an authorisation server; empty for other paths."""
    for form in (PATH, METADATA):
        prefix = form.format(name="")
        if path.startswith(prefix):
            return path.removeprefix(prefix).partition("/")[0] or NOBODY
    return ""


async def _later_a(scope: Scope) -> Response:
    return Response(status_code=503, headers=LATER)


async def _later_c(scope: Scope) -> Response:
    return await answer_unavailable(Request(scope), VaultUnavailable())


async def _later_d(scope: Scope) -> Response:
    return problem(503, VaultUnavailable.text, _LATER_D)


async def _later_page(scope: Scope) -> Response:
    return later()


def _broken_off(interface: str) -> None:
    _LOGGER.warning("%s: a response was cut off", interface)
