"""The listener through which the front reaches a worker's log: each worker serves the log of its own vault.

Requests at interface C come with the client's certificate, which is checked here as by the access point.
Requests at interface D have been judged by the message service of the same organisation, which alone has the
access token keys; the front passes on the client that it named (:data:`~samdrift.net.forwarding.VOUCHED`).
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from samdrift.accesspoint.interface_c import log_answer
from samdrift.accesspoint.problems import Problem, ProblemKind, answer_denied, answer_problem
from samdrift.accesspoint.problems import answer_unavailable as later_c
from samdrift.accesspoint.settings import CurrentClients
from samdrift.contracts.errors import Temporary
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.messageservice.interface_d.problems import problem
from samdrift.net.forwarding import VOUCHED
from samdrift.net.logserving import NOT_THERE, RESOURCE, part_of_log
from samdrift.net.server import CLIENT_CERTIFICATE
from samdrift.vault.errors import UnknownRecord, VaultDenied
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

_LATER = {"retry-after": "30"}


class LogDoor:
    """The web application that serves the log of a worker's vault."""

    def __init__(
        self, gate: Gate, role: Role, organisation: ParticipantIdentifier, clients: CurrentClients
    ) -> None:
        self._gate = gate
        self._role = role
        self._organisation = organisation
        self._clients = clients

    def application(self) -> Starlette:
        return Starlette(
            routes=[
                Route(f"/c/v1{RESOURCE}", self._by_certificate, methods=["GET"]),
                Route(f"/v1{RESOURCE}", self._vouched, methods=["GET"]),
            ],
            exception_handlers={Problem: answer_problem, VaultDenied: answer_denied, Temporary: later_c},
        )

    async def _by_certificate(self, request: Request) -> Response:
        client = self._clients().get(request.scope.get(CLIENT_CERTIFICATE) or "")
        if client is None:
            raise Problem(ProblemKind.CLIENT_UNKNOWN, "this client certificate is not registered here")
        return await log_answer(self._gate, client, request)

    async def _vouched(self, request: Request) -> Response:
        """Serve the log to a client of interface D; a log that it may not read appears not to exist."""
        name, path = request.scope.get(VOUCHED), request.path_params["resource"]
        if name is None:
            raise HTTPException(404)
        client = Principal(PrincipalKind.SYSTEM, name, self._organisation.value)
        try:
            async with self._gate.open(client, self._organisation, self._role, Purpose.DELIVER) as vault:
                return part_of_log(path, await vault.tree.resource(path))
        except (UnknownRecord, VaultDenied):
            return problem(404, NOT_THERE)
        except Temporary as outage:
            return problem(503, str(outage), _LATER)
