"""Attempts over interface C with another organisation's certificate, and with none."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from samdrift.isolationcheck.calls import Call, Calls, Request, ask, attempt, learned, reference
from samdrift.isolationcheck.canary import Planted, deliver, waits
from samdrift.isolationcheck.ledger import Ledger
from samdrift.net.client import HttpClient, NoAnswer
from samdrift.vault.gate import Gate
from samdrift.wire.envelope import EnvelopeHeader, seal
from samdrift.wire.identifiers import NO_PROCESS, SDK_MESSAGE_BASE

INTERFACE = "interface C"
OTHER = "another organisation's system"
ANONYMOUS = "anonymous"
ACTORS = (OTHER, ANONYMOUS)
_TRIES = 30
_XML = {"content-type": "application/xml"}
_JSON = {"content-type": "application/json"}


def submit(planted: Planted) -> Request:
    """Submit an envelope in the other's name, with the id of one of its own."""
    header = EnvelopeHeader(
        id=planted.envelope_id,
        created=planted.created_at,
        sender=planted.organisation,
        recipient=planted.organisation,
        document=SDK_MESSAGE_BASE,
        process=NO_PROCESS,
        federation="urn:samdrift:isolation-check",
        document_type_code="Q{urn:samdrift:isolation-check}check",
        content_type_code="application/xml",
        handling_service_id=None,
        encrypted=False,
    )
    data = seal(
        header, b'<check xmlns="urn:samdrift:isolation-check"/>', signer=None, recipient=None, rng=os.urandom
    )
    return Request("PUT", f"/c/v1/envelopes/{planted.envelope_id}", data, _XML)


def poll(planted: Planted) -> Request:
    """Report the other's item as received by the caller, and list items after it."""
    asked = {"after": 0, "wait": 0, "taken": [planted.item_id], "past": planted.item_id}
    return Request("POST", "/c/v1/poll", json.dumps(asked).encode(), _JSON)


def fetch(planted: Planted) -> Request:
    return Request("GET", f"/c/v1/inbox/{planted.item_id}")


def acknowledge(planted: Planted) -> Request:
    return Request("DELETE", f"/c/v1/inbox/{planted.item_id}")


def read_log(planted: Planted) -> Request:
    """Read a part of a log that only the other's could have; the path cannot name the organisation."""
    return Request("GET", "/c/v1/logs/ap/tile/entries/x999/999")


def describe(planted: Planted) -> Request:
    return Request("GET", "/c/v1/openapi.json")


CALLS: Calls = {
    ("PUT", "/c/v1/envelopes/{envelope_id}"): (Call("submit in the other's name", submit),),
    ("POST", "/c/v1/poll"): (Call("poll, and take the other's item", poll, same=False),),
    ("GET", "/c/v1/inbox/{item_id}"): (Call("fetch the other's item", fetch),),
    ("DELETE", "/c/v1/inbox/{item_id}"): (Call("acknowledge the other's item", acknowledge),),
    ("GET", "/c/v1/logs/{role}/{resource:path}"): (Call("read the other's log", read_log),),
    ("GET", "/c/v1/openapi.json"): (Call("read the description", describe),),
}
"""Every route; a new one must have its calls here (tests/separation/test_interfaces.py)."""

OF_ITEMS = frozenset({poll, fetch, acknowledge})


async def over_interface_c(
    gate: Gate, base: str, actors: Mapping[str, HttpClient], planted: Planted, ledger: Ledger
) -> None:
    """Make each call as each actor, none of which is the organisation.

    The absence of an answer counts as a denial to an actor without a certificate if another actor gets an
    answer.
    """
    for calls in CALLS.values():
        for call in calls:
            answered = await _try(gate, base, OTHER, actors[OTHER], call, planted, ledger)
            await _try(gate, base, ANONYMOUS, actors[ANONYMOUS], call, planted, ledger, denied=answered)


async def _try(
    gate: Gate,
    base: str,
    actor: str,
    http: HttpClient,
    call: Call,
    planted: Planted,
    ledger: Ledger,
    *,
    denied: bool = False,
) -> bool:
    """Return whether there was an answer; with ``denied``, the lack of one counts as a denial."""
    try:
        leak = await _attempt(gate, base, http, call, planted)
    except NoAnswer:
        if denied:
            ledger.tried(INTERFACE, call.name, actor)
        else:
            ledger.untried(INTERFACE, call.name, actor, "interface C does not answer")
        return False
    if leak is None:
        ledger.untried(INTERFACE, call.name, actor, "the canary's items were gone before the answer")
    else:
        ledger.tried(INTERFACE, call.name, actor, leak)
    return True


async def _attempt(gate: Gate, base: str, http: HttpClient, call: Call, planted: Planted) -> str | None:
    """Return the leak; ``None`` if no item stayed in the inbox throughout a call.

    The canary's own message service removes its items as soon as it sees them. The item must still be there
    after the answer, otherwise the answer proves nothing.
    """
    if call.request not in OF_ITEMS:
        return await attempt(http, base, call, planted)
    nobodys_answer = await reference(http, base, call, planted)
    for _ in range(_TRIES):
        named = replace(planted, item_id=await deliver(gate, planted, datetime.now(UTC)))
        theirs = await ask(http, base, call.request(named))
        leak = learned(call, named, theirs, *nobodys_answer)
        if leak or await waits(gate, named, named.item_id):
            return leak
    return None
