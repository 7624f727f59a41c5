"""Error responses of interface D: RFC 7807 in the form that the contract prescribes, without content.

A request that breaks the contract or a rule gets the codes that a message receipt would carry for it, so that
a client can read both in the same way (api-mt-mk, Mappning Kvittens och Event). The contract gives problems
the media type ``application/json``, and so do we.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from starlette.responses import JSONResponse, Response

from samdrift.wire.codes import Detail, Reason
from samdrift.wire.findings import Finding
from samdrift.wire.sdkmessage import new_timestamp

BAD_REQUEST = "urn:problem-type:sdk:badRequest"
_UNSPECIFIC = "about:blank"
_EXCHANGE_ERROR = "MESSAGE_EXCHANGE_ERROR"
NOTHING = "NA"
"""The value of an empty field, as in the examples of api-mt-mk."""

MAX_ISSUES = 50


class Refused(Exception):
    """A request that is answered with 400, with a list of its faults."""

    def __init__(self, findings: Iterable[Finding], message_id: str | None = None) -> None:
        self.findings = tuple(findings)[:MAX_ISSUES]
        self.message_id = message_id
        """Id of the message concerned, as a UUID."""
        super().__init__("; ".join(finding.text for finding in self.findings))


class Answer(Exception):
    """A request that is answered with a status other than 400."""

    def __init__(self, status: HTTPStatus, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers


def instance(message_id: str) -> str:
    """Return a message id as the URI that the OpenAPI file requires for ``instance``."""
    return f"urn:uuid:{message_id}"


def broken(text: str, where: str) -> Finding:
    """Return the finding for a broken contract; ``where`` is a JSON pointer or a parameter name."""
    return Finding(Reason.SCHEMA, Detail.STRUCTURE, text, where)


def bad_request(refused: Refused) -> Response:
    """Return a 400 response with the faults in ``eventIssues``, each with its time and subject.

    Without a message id, the response gets an id of its own that a client can refer to.

    Clauses: api-mt-mk event sentence 1.
    """
    about = instance(refused.message_id or str(uuid4()))
    each = {"dateTime": new_timestamp(datetime.now(UTC)), "instance": about}
    document: dict[str, Any] = {
        "type": BAD_REQUEST,
        "title": HTTPStatus.BAD_REQUEST.phrase,
        "status": HTTPStatus.BAD_REQUEST.value,
        "detail": _EXCHANGE_ERROR,
        "instance": about,
    }
    document["eventIssues"] = [
        {
            "typeCode": _EXCHANGE_ERROR,
            "title": "The request was not accepted",
            "detail": NOTHING,
            "in": NOTHING,
            **each,
        },
        *(_issue(finding) | each for finding in refused.findings),
    ]
    return JSONResponse(document, status_code=HTTPStatus.BAD_REQUEST)


def problem(status: int, text: str, headers: Mapping[str, str] | None = None, **also: str) -> Response:
    """Return an error response with any other status."""
    title = HTTPStatus(status).phrase
    document = {"type": _UNSPECIFIC, "title": title, "status": status, "detail": text, **also}
    return JSONResponse(document, status_code=status, headers=headers)


def _issue(finding: Finding) -> dict[str, str]:
    return {
        "typeCode": finding.reason,
        "title": finding.detail or NOTHING,
        "detail": finding.text,
        "in": finding.path,
    }
