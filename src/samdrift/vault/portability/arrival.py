"""Arrival: storing what an organisation brings from another supplier, in an empty vault.

An arrival begins once, for one export, and is the only way in which such records are stored: the
database refuses them otherwise. A page is stored completely or not at all. A page that is already
stored is recognised by its records, so an interrupted arrival is resumed from its beginning.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from secrets import token_bytes

from samdrift.audit.entries import Happening
from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Role
from samdrift.contracts.statements import NumberedStatement
from samdrift.keystore.witness import MARK_BYTES, Witness
from samdrift.vault import logbook, messagerows
from samdrift.vault.bodies import Body, body_values
from samdrift.vault.database.session import call
from samdrift.vault.opening import Vault
from samdrift.vault.people import Identity, person_mark, sealed_identity
from samdrift.vault.portability import mailparts, parts
from samdrift.vault.portability.parts import Facts, Part
from samdrift.vault.records import Digest
from samdrift.vault.sessionkeys import sealed_mark_key
from samdrift.vault.signedstatements import ASSIGNED, SIGNED, Statements

_BEGIN = call("begin_arrival", 2)
_BODY = call("arrive_body", 4)
_END = "SELECT * FROM end_arrival($1, $2)"
_NO_BODY = ""
_PERSONS = "persons"


class ArrivalStanding(StrEnum):
    """State of a vault with respect to an export that is to be stored in it."""

    BEGUN = "begun"
    UNDER_WAY = "under-way"
    """The arrival was begun before."""
    DONE = "done"
    """Everything in the export is stored."""
    OCCUPIED = "occupied"
    """The vault has other content."""


@dataclass(frozen=True, slots=True)
class Brought:
    """One record with its contents: documents in memory, and possibly large ones as finished bodies."""

    facts: Facts
    documents: dict[str, bytes] = field(default_factory=dict)
    body: Body | None = None


class Arrival(Vault):
    """An open vault that stores what an organisation brings."""

    role: Role

    async def begin(self, export: bytes, *, now: datetime) -> ArrivalStanding:
        """Begin with the export whose manifest has that SHA-256, or resume it."""
        ((standing,),) = await self._work.query(_BEGIN, export, now)
        return ArrivalStanding(standing)

    async def known(self, part: Part, keys: Sequence[tuple[str, ...]]) -> set[tuple[str, ...]]:
        """Return those of the given records that are already stored."""
        key = ", ".join(part.key)
        sql = f"SELECT {key} FROM {part.name} WHERE {part.key[0]} = ANY($1::text[])"  # noqa: S608
        return set(await self._work.query(sql, [each[0] for each in keys])) & set(keys)

    async def store(self, part: Part, records: Sequence[Brought]) -> None:
        """Store records with their contents; refused unless an arrival is under way."""
        for record in records:
            if record.body is not None:
                self._work.later(_BODY, *body_values(record.body))
        for table, rows in self._rows(part, records).items():
            self._work.later(call(f"arrive_{table}", 1), json.dumps(rows))
        for record in records:
            if record.body is not None:
                self._keep(record.body)

    async def store_log(self, log: str, entries: Sequence[Facts]) -> None:
        """Store entries of a former supplier's log ``log``; the database checks the hash of each."""
        rows = [_former_entry(log, facts) for facts in entries]
        self._work.later(call("arrive_former_log", 1), json.dumps(rows))

    async def finish(self, *, now: datetime, taken_over: bool) -> None:
        """End the arrival; work under way continues here if it is ``taken_over``, and ends otherwise."""
        for (body_id,) in await self._work.query(_END, now, taken_over):
            self._drop_object(body_id)

    def _rows(self, part: Part, records: Sequence[Brought]) -> dict[str, list[Facts]]:
        """Return the rows of each table that the records are stored in."""
        return {part.name: [record.facts for record in records]}

    def _person(self, facts: Facts) -> Facts:
        claims = {name: tuple(values) for name, values in json.loads(facts["claims"]).items()}
        identity = Identity(facts["issuer"], facts["subject"], facts["name"], claims)
        mark = person_mark(identity.issuer, identity.subject, self._sealer)
        return {
            "id": facts["id"],
            "mark": parts.from_bytes(mark),
            "sealed": parts.from_bytes(sealed_identity(identity, mark, facts["id"], self._sealer)),
            "seen_at": facts["seen_at"],
        }

    def _statements(self, kept: Statements, records: Sequence[Brought]) -> list[Facts]:
        rows = []
        for each in records:
            number, logged = each.facts["number"], each.facts.get("logged")
            moment = None if logged is None else datetime.fromisoformat(logged)
            one = NumberedStatement(number, each.facts["content"].encode(), moment)
            rows.append({"number": number, "sealed": parts.from_bytes(kept.sealed(one, self._sealer))})
        return rows


class AccessPointArrival(Arrival):
    """Arrival in a vault of the access point."""

    role = Role.ACCESS_POINT

    def _rows(self, part: Part, records: Sequence[Brought]) -> dict[str, list[Facts]]:
        if not part.contents:
            return super()._rows(part, records)
        rows = []
        for record in records:
            receipt = record.documents.get("receipt")
            body = _NO_BODY if record.body is None else record.body.id
            given = {"receipt": None if receipt is None else parts.from_bytes(receipt), "body": body}
            rows.append(record.facts | given)
        return {part.name: rows}


class MessageServiceArrival(Arrival):
    """Arrival in a vault of the message service."""

    role = Role.MESSAGE_SERVICE

    async def store(self, part: Part, records: Sequence[Brought]) -> None:
        """Store records, and the mailboxes of messages among them."""
        await super().store(part, records)
        if part is parts.MESSAGES:
            held = [one.facts for one in records if not one.facts["deleted"] and one.facts["size"]]
            for address in {_mailbox(facts) for facts in held}:
                if (values := messagerows.mailbox_values(address, self._sealer)) is not None:
                    self._work.later(messagerows.KNOW_MAILBOX, *values)

    async def finish(self, *, now: datetime, taken_over: bool) -> None:
        """End the arrival, after storing a last mark of a session key of this vault's own."""
        witness = Witness(token_bytes(MARK_BYTES), now)
        row = {"mark": witness.mark.hex(), "envelope": parts.from_bytes(b""), "at": now.isoformat()}
        self._work.later(call("arrive_session_keys", 1), json.dumps([row]))
        await super().finish(now=now, taken_over=taken_over)

        async def keep() -> None:
            self._room.keys.keep_witness(self._room.vault, witness)

        self._work.after_commit(keep)

    def _rows(self, part: Part, records: Sequence[Brought]) -> dict[str, list[Facts]]:
        if part.name == _PERSONS:
            return {part.name: [self._person(record.facts) for record in records]}
        if part is parts.MARK_KEYS:
            return {part.name: [self._mark_key(record.facts) for record in records]}
        if part is parts.RECEIPTS:
            return {part.name: [self._receipt(record) for record in records]}
        if part is parts.DIGESTS:
            return {part.name: [self._digest(record.facts) for record in records]}
        if part is parts.MESSAGES:
            events = [event for record in records for event in self._events(record.facts)]
            numbered = [event | {"number": number} for number, event in enumerate(events)]
            return {part.name: [self._message(record) for record in records], "status_events": numbered}
        return super()._rows(part, records)

    def _mark_key(self, facts: Facts) -> Facts:
        name, key = facts["name"], parts.to_bytes(facts["key"])
        return {"name": name, "sealed": parts.from_bytes(sealed_mark_key(key, name, self._sealer))}

    def _message(self, record: Brought) -> Facts:
        """Return the row of a message without the texts that are sealed in it: they may be large."""
        facts, sealer = record.facts, self._sealer
        row = {name: value for name, value in facts.items() if name not in (*messagerows.DETAILS, "events")}
        row["body"] = None if record.body is None else record.body.id
        if facts["deleted"]:
            return row | {"details": None, "sender_mark": "\\x", "recipient_mark": "\\x"}
        sealed = messagerows.sealed_details(facts, facts["id"], facts["direction"], sealer)
        return row | {
            "details": parts.from_bytes(sealed),
            "sender_mark": parts.from_bytes(sealer.mark(facts["sender_address"])),
            "recipient_mark": parts.from_bytes(sealer.mark(facts["recipient_address"])),
        }

    def _events(self, facts: Facts) -> list[Facts]:
        message, way = facts["id"], facts["direction"]
        return [
            {
                "message": message,
                "direction": way,
                "at": event["at"],
                "status": event["status"],
                "details": parts.from_bytes(messagerows.resealed_event(event, message, way, self._sealer)),
            }
            for event in facts["events"]
        ]

    def _receipt(self, record: Brought) -> Facts:
        facts, sealer = record.facts, self._sealer
        address = messagerows.sealed_address(facts["address"], facts["id"], sealer)
        content = messagerows.sealed_receipt(record.documents["receipt"], facts["id"], sealer)
        return facts | {
            "address": None if address is None else parts.from_bytes(address),
            "content": parts.from_bytes(content),
        }

    def _digest(self, facts: Facts) -> Facts:
        digest = Digest(*(bytes.fromhex(facts[name].removeprefix("\\x")) for name in ("salt", "sha256")))
        sealed = messagerows.sealed_digest(digest, self._sealer)
        return {"commitment": digest.commitment, "sealed": parts.from_bytes(sealed)}


class MessageClientArrival(Arrival):
    """Arrival in a vault of the message client."""

    role = Role.MESSAGE_CLIENT

    def _rows(self, part: Part, records: Sequence[Brought]) -> dict[str, list[Facts]]:
        if part.name == _PERSONS:
            return {part.name: [self._person(record.facts) for record in records]}
        if part is parts.STATEMENTS:
            return {part.name: self._statements(ASSIGNED, records)}
        kind = next((each for each in mailparts.MAIL_PARTS if each.part is part), None)
        if kind is None:
            return super()._rows(part, records)
        rows = [kind.arriving(one.facts, one.body.id if one.body else None, self._sealer) for one in records]
        return {part.name: rows}


class GovernanceArrival(Arrival):
    """Arrival in a vault of governance."""

    role = Role.GOVERNANCE

    def _rows(self, part: Part, records: Sequence[Brought]) -> dict[str, list[Facts]]:
        if part.name == _PERSONS:
            return {part.name: [self._person(record.facts) for record in records]}
        if part is parts.SIGNED_STATEMENTS:
            return {part.name: self._statements(SIGNED, records)}
        return super()._rows(part, records)


def _mailbox(facts: Facts) -> str:
    own = "sender_address" if facts["direction"] == Direction.OUT else "recipient_address"
    return str(facts[own])


def _former_entry(log: str, facts: Facts) -> Facts:
    """Return an entry as a row; one that was disposed of has no content, and is found by its number alone."""
    if facts["content"] is None:
        return facts | {"log": log, "traces": []}
    content = facts["content"].encode()
    traces = [logbook.trace(each) for each in Happening.parse(content).traced()]
    return facts | {"log": log, "content": parts.from_bytes(content), "traces": traces}
