"""Everything that an organisation has in a vault, in pages, for its move to another supplier."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from samdrift.audit.chain import ChainHead, origin
from samdrift.contracts.principals import Role
from samdrift.contracts.statements import NumberedStatement
from samdrift.vault import logbook, messagerows, sessionkeys
from samdrift.vault.bodies import BodyReader
from samdrift.vault.database.session import Row, Value
from samdrift.vault.people import opened_identity
from samdrift.vault.portability import mailparts, parts
from samdrift.vault.portability.mailparts import MailPart
from samdrift.vault.portability.parts import Content, Facts, Part, Taken
from samdrift.vault.portability.snapshot import Snapshot
from samdrift.vault.signedstatements import ASSIGNED, SIGNED, Statements

Key = Sequence[Value]
"""The key of the last record of the previous page; empty for the first page."""

_PAGE = 500
_PAGE_WITH_CONTENTS = 100
_PAGE_OF_GROUNDS = 40

_LOG = """
SELECT sequence, content, previous, hash, retention, salt FROM log
WHERE sequence > $1 ORDER BY sequence LIMIT $2
"""
_FORMER_LOG = """
SELECT sequence, content, previous, hash, retention, salt, log FROM former_log
WHERE (log, sequence) > ($1, $2::bigint) ORDER BY log, sequence LIMIT $3
"""
_LOG_KEYS = """
SELECT to_jsonb(page) FROM (
    SELECT * FROM (
        SELECT $3::text AS log, key, number, announcement, statement FROM log_keys
        UNION ALL SELECT log, key, number, announcement, statement FROM former_log_keys
    ) AS known WHERE (log, key) > ($1, $2) ORDER BY log, key LIMIT $4
) AS page
"""
_CHECKPOINTS = """
SELECT to_jsonb(page) FROM (
    SELECT * FROM (
        SELECT $4::text AS log, c.origin, c.size, c.signed_at,
            c.note || coalesce(string_agg(s.first, '' ORDER BY s.witness), '') AS first,
            c.note || coalesce(string_agg(s.last, '' ORDER BY s.witness), '') AS last
        FROM log_checkpoints c LEFT JOIN log_cosignatures s USING (origin, size)
        WHERE s.witness IS NOT NULL
            OR c.size = (SELECT max(size) FROM log_checkpoints o WHERE o.origin = c.origin)
        GROUP BY c.origin, c.size
        UNION ALL SELECT log, origin, size, signed_at, first, last FROM former_checkpoints
    ) AS known WHERE (log, origin, size) > ($1, $2, $3::bigint) ORDER BY log, origin, size LIMIT $5
) AS page
"""
"""Query for the last checkpoint and all cosigned ones; others prove nothing to third parties."""
_FOUND_MESSAGES = """
SELECT id, direction, status, conversation_id, ref_to_message_id, sender, recipient, document, created_at,
       updated_at, dated_at, confidentiality, size, details IS NULL AS deleted, details, body,
       coalesce(octet_length(details), 0) + coalesce((
           SELECT sum(octet_length(e.details)) FROM status_events e
           WHERE e.message = m.id AND e.direction = m.direction
       ), 0) AS bytes
FROM messages m WHERE (id, direction) > ($1, $2) ORDER BY id, direction LIMIT $3
"""
_MESSAGES = f"""
SELECT to_jsonb(m) - '{{bytes,total,details,body}}'::text[], m.details, b.id, b.size, b.sealed
FROM ({parts.within_page(_FOUND_MESSAGES, "id, direction")}) AS m
LEFT JOIN bodies b ON b.id = m.body ORDER BY m.id, m.direction
"""  # noqa: S608
_STATUS_EVENTS = """
SELECT e.message, e.direction, to_jsonb(e.at), e.status, e.details
FROM unnest($1::text[], $2::text[]) AS asked (message, direction)
JOIN status_events e ON e.message = asked.message AND e.direction = asked.direction ORDER BY e.number
"""
_RECEIPTS = """
SELECT to_jsonb(r) - '{address,content}'::text[], r.address, r.content
FROM (SELECT * FROM receipts WHERE id > $1 ORDER BY id LIMIT $2) AS r ORDER BY r.id
"""

_DIGESTS = "SELECT commitment, sealed FROM digests WHERE commitment > $1 ORDER BY commitment LIMIT $2"


def _plain(part: Part, length: str = "0") -> str:
    """Return the query for a page of a part with records that are rows without contents.

    ``length`` is the expression for the bytes of a row that may be large.
    """
    columns, key = ", ".join(fact.name for fact in part.facts), ", ".join(part.key)
    after = ", ".join(f"${number}" for number in range(1, len(part.key) + 1))
    limit = f"${len(part.key) + 1}"
    found = f"SELECT *, {length} AS bytes FROM {part.name} WHERE ({key}) > ({after}) ORDER BY {key}"  # noqa: S608
    page = parts.within_page(f"{found} LIMIT {limit}", key)
    return f"SELECT to_jsonb(f) FROM (SELECT {columns} FROM ({page}) AS page ORDER BY {key}) AS f"  # noqa: S608


def _with_envelope(part: Part, waiting: str) -> str:
    """Return the query for a page of a part with receipts and, while they wait, envelopes."""
    columns = ", ".join(f"t.{fact.name}" for fact in part.facts)
    return f"""
    SELECT (SELECT to_jsonb(f) FROM (SELECT {columns}) AS f), t.receipt, b.id, b.size, b.sealed
    FROM (SELECT * FROM {part.name} WHERE id > $1 ORDER BY id LIMIT $2) AS t
    LEFT JOIN bodies b ON b.id = t.body AND t.{waiting} ORDER BY t.id
    """  # noqa: S608


_ATTEMPTS, _EVENTS, _PEER_CERTIFICATES = map(_plain, (parts.ATTEMPTS, parts.EVENTS, parts.PEER_CERTIFICATES))
_PROCESSED, _CURSORS, _WORK, _SESSION_KEYS = map(
    _plain, (parts.PROCESSED, parts.CURSORS, parts.WORK, parts.SESSION_KEYS)
)
_GROUNDS = _plain(parts.grounds_part(Role.ACCESS_POINT), "octet_length(content)")
_RECORDS = _plain(parts.records_part(Role.MESSAGE_CLIENT))
_PERSONS = "SELECT id, mark, sealed, to_jsonb(seen_at) FROM persons WHERE id > $1 ORDER BY id LIMIT $2"
_MARK_KEYS = "SELECT name, sealed FROM mark_keys"
_INCOMING = _with_envelope(parts.INCOMING, "acknowledged_at IS NULL")
_TRANSFERS = _with_envelope(parts.TRANSFERS, "due_at IS NOT NULL")


@dataclass(frozen=True, slots=True)
class LogState:
    """A log in a snapshot: its id, the beginning of its chain, and its end."""

    id: str
    origin: ChainHead
    head: ChainHead


class Departure:
    """A vault that is read for a move; as with every open vault, it is the scope (invariant 1).

    Every page begins after the key of the last record of the previous page; a page after the last one is
    empty. A vault is read as it was at one moment.
    """

    role: Role

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    async def log(self, after: Key = ()) -> list[Taken]:
        """Return a page of entries of the organisation's log."""
        rows = await self._snapshot.query(_LOG, *(after or (0,)), _PAGE)
        return [Taken(_entry(row)) for row in rows]

    async def former_log(self, after: Key = ()) -> list[Taken]:
        """Return a page of entries of logs that the organisation brought from earlier suppliers."""
        rows = await self._snapshot.query(_FORMER_LOG, *(after or ("", 0)), _PAGE)
        return [Taken({"log": log} | _entry(tuple(entry))) for *entry, log in rows]

    async def log_keys(self, after: Key = ()) -> list[Taken]:
        """Return a page of the keys of the log and of earlier logs."""
        return await self._plain(_LOG_KEYS, (*(after or ("", "")), self._snapshot.shelf.vault))

    async def checkpoints(self, after: Key = ()) -> list[Taken]:
        """Return a page of those checkpoints of the log and of earlier logs that prove anything."""
        return await self._plain(_CHECKPOINTS, (*(after or ("", "", 0)), self._snapshot.shelf.vault))

    async def log_state(self) -> LogState:
        """Return the id, beginning and end of the log."""
        vault = self._snapshot.shelf.vault
        return LogState(vault, origin(vault), await logbook.head(self._snapshot.query))

    async def was_removed(self, body: BodyReader) -> bool:
        """Return whether a body that cannot be read was removed, with its record, after the snapshot."""
        return not await self._snapshot.has_body(body.id)

    async def _persons(self, after: Key) -> list[Taken]:
        sealer, found = self._snapshot.shelf.sealer, []
        for person, mark, sealed, seen_at in await self._snapshot.query(_PERSONS, *(after or ("",)), _PAGE):
            identity = opened_identity(sealed, mark, person, sealer)
            facts = {"issuer": identity.issuer, "subject": identity.subject, "name": identity.name}
            found.append(
                Taken(facts | {"id": person, "claims": json.dumps(dict(identity.claims)), "seen_at": seen_at})
            )
        return found

    async def _statements(self, kept: Statements, after: Key) -> list[Taken]:
        rows = await self._snapshot.query(kept.after, *(after or (0,)), _PAGE)
        sealer = self._snapshot.shelf.sealer
        opened = [kept.opened(sealed, number, sealer) for number, sealed in rows]
        return [Taken(_statement(each)) for each in opened]

    async def _plain(self, sql: str, after: Key, most: int = _PAGE) -> list[Taken]:
        return [Taken(facts) for (facts,) in await self._snapshot.query(sql, *after, most)]

    def _body(self, name: str, row: Row) -> dict[str, Content]:
        """Return the body, under its name among a record's contents, if there is one."""
        return {} if row[0] is None else {name: BodyReader(self._snapshot.shelf, *row)}


class JudgingDeparture(Departure):
    """Departure from a vault that keeps the grounds on which others' certificates were judged."""

    async def grounds(self, after: Key = ()) -> list[Taken]:
        """Return a page of the chains, answers and lists that the log names, each once."""
        return await self._plain(_GROUNDS, after or ("",), _PAGE_OF_GROUNDS)


class AccessPointDeparture(JudgingDeparture):
    """Departure from a vault of the access point."""

    role = Role.ACCESS_POINT

    async def incoming(self, after: Key = ()) -> list[Taken]:
        """Return a page of facts about received envelopes, with receipts, and envelopes that still wait."""
        return await self._with_envelope(_INCOMING, after)

    async def transfers(self, after: Key = ()) -> list[Taken]:
        """Return a page of transfers, with the peers' receipts, and envelopes that still wait."""
        return await self._with_envelope(_TRANSFERS, after)

    async def attempts(self, after: Key = ()) -> list[Taken]:
        """Return a page of attempts at transfers, with what was signed."""
        return await self._plain(_ATTEMPTS, after or ("", 0))

    async def events(self, after: Key = ()) -> list[Taken]:
        """Return a page of the events of transfers."""
        return await self._plain(_EVENTS, after or (0,))

    async def peer_certificates(self, after: Key = ()) -> list[Taken]:
        """Return a page of the peers' certificates that the log names."""
        return await self._plain(_PEER_CERTIFICATES, after or ("",))

    async def _with_envelope(self, sql: str, after: Key) -> list[Taken]:
        found = []
        for facts, receipt, *body in await self._snapshot.query(sql, *(after or ("",)), _PAGE_WITH_CONTENTS):
            contents: dict[str, Content] = {} if receipt is None else {"receipt": receipt}
            found.append(Taken(facts, contents | self._body("envelope", tuple(body))))
        return found


class MessageServiceDeparture(JudgingDeparture):
    """Departure from a vault of the message service."""

    role = Role.MESSAGE_SERVICE

    async def messages(self, after: Key = ()) -> list[Taken]:
        """Return a page of messages with their steps and content; of a deleted one, only its facts."""
        rows = await self._snapshot.query(_MESSAGES, *(after or ("", "")), _PAGE_WITH_CONTENTS)
        events = await self._status_events([row[0] for row in rows])
        sealer, found = self._snapshot.shelf.sealer, []
        for facts, details, *body in rows:
            name = facts["id"], facts["direction"]
            facts |= messagerows.opened_details(details, *name, sealer)
            facts["events"] = events.get(name, [])
            found.append(Taken(facts, self._body("message", tuple(body))))
        return found

    async def receipts(self, after: Key = ()) -> list[Taken]:
        """Return a page of message receipts, sent and received."""
        rows = await self._snapshot.query(_RECEIPTS, *(after or ("",)), _PAGE_WITH_CONTENTS)
        sealer, found = self._snapshot.shelf.sealer, []
        for facts, address, content in rows:
            facts["address"] = messagerows.receipt_address(address, facts["id"], sealer)
            document = messagerows.receipt_content(content, facts["id"], sealer)
            found.append(Taken(facts, {"receipt": document}))
        return found

    async def persons(self, after: Key = ()) -> list[Taken]:
        """Return a page of people for whom systems act."""
        return await self._persons(after)

    async def digests(self, after: Key = ()) -> list[Taken]:
        """Return a page of digests that the log commits to."""
        rows = await self._snapshot.query(_DIGESTS, *(after or ("",)), _PAGE)
        sealer, found = self._snapshot.shelf.sealer, []
        for commitment, sealed in rows:
            digest = messagerows.digest(sealed, commitment, sealer)
            known = {"salt": parts.from_bytes(digest.salt), "sha256": parts.from_bytes(digest.sha256)}
            found.append(Taken({"commitment": commitment} | known))
        return found

    async def processed(self, after: Key = ()) -> list[Taken]:
        """Return a page of the access point's items that have been processed."""
        return await self._plain(_PROCESSED, after or ("",))

    async def cursors(self, after: Key = ()) -> list[Taken]:
        """Return a page of positions up to which events of other components have been read."""
        return await self._plain(_CURSORS, after or ("",))

    async def work(self, after: Key = ()) -> list[Taken]:
        """Return a page of pending work."""
        return await self._plain(_WORK, after or ("", ""))

    async def session_keys(self, after: Key = ()) -> list[Taken]:
        """Return a page of marks of the session keys that have opened an envelope."""
        return await self._plain(_SESSION_KEYS, after or ("",))

    async def mark_keys(self, after: Key = ()) -> list[Taken]:
        """Return the keys of marks, from here and from former suppliers, in one page."""
        if after:
            return []
        sealer = self._snapshot.shelf.sealer
        own = sealer.session_marks
        rows = await self._snapshot.query(_MARK_KEYS)
        found = {name: sessionkeys.mark_key(sealed, name, sealer) for name, sealed in rows}
        found[sessionkeys.mark_key_name(own)] = own
        return [Taken({"name": name, "key": parts.from_bytes(found[name])}) for name in sorted(found)]

    async def _status_events(self, messages: list[Facts]) -> dict[tuple[str, str], list[Facts]]:
        found: dict[tuple[str, str], list[Facts]] = {}
        ids, directions = [one["id"] for one in messages], [one["direction"] for one in messages]
        for message, way, at, status, details in await self._snapshot.query(_STATUS_EVENTS, ids, directions):
            facts = {"at": at, "status": status}
            facts |= messagerows.opened_event(details, message, way, self._snapshot.shelf.sealer)
            found.setdefault((message, way), []).append(facts)
        return found


class RecordKeepingDeparture(Departure):
    """Departure from a vault that keeps public records."""

    async def records(self, after: Key = ()) -> list[Taken]:
        """Return a page of public records not handed over yet; the duty to do so moves along."""
        return await self._plain(_RECORDS, after or ("",))


class MessageClientDeparture(RecordKeepingDeparture):
    """Departure from a vault of the message client."""

    role = Role.MESSAGE_CLIENT

    async def persons(self, after: Key = ()) -> list[Taken]:
        """Return a page of people who sign in; their sessions do not move."""
        return await self._persons(after)

    async def statements(self, after: Key = ()) -> list[Taken]:
        """Return a page of statements about rights."""
        return await self._statements(ASSIGNED, after)

    async def mailboxes(self, after: Key = ()) -> list[Taken]:
        """Return a page of the organisation's mailboxes."""
        return await self._mail(mailparts.MAILBOXES, after)

    async def conversations(self, after: Key = ()) -> list[Taken]:
        """Return a page of conversations, and their handling."""
        return await self._mail(mailparts.CONVERSATIONS, after)

    async def messages(self, after: Key = ()) -> list[Taken]:
        """Return a page of messages, sent and received, with their documents."""
        return await self._mail(mailparts.MAIL, after)

    async def files(self, after: Key = ()) -> list[Taken]:
        """Return a page of files of messages and drafts."""
        return await self._mail(mailparts.FILES, after)

    async def notes(self, after: Key = ()) -> list[Taken]:
        """Return a page of notes in conversations."""
        return await self._mail(mailparts.NOTES, after)

    async def drafts(self, after: Key = ()) -> list[Taken]:
        """Return a page of drafts."""
        return await self._mail(mailparts.DRAFTS, after)

    async def readings(self, after: Key = ()) -> list[Taken]:
        """Return a page of records of who has seen messages, and how."""
        return await self._mail(mailparts.READINGS, after)

    async def addresses(self, after: Key = ()) -> list[Taken]:
        """Return a page of addresses that the organisation has written to."""
        return await self._mail(mailparts.ADDRESSES, after)

    async def favourites(self, after: Key = ()) -> list[Taken]:
        """Return a page of people's favourites."""
        return await self._mail(mailparts.FAVOURITES, after)

    async def notice_choices(self, after: Key = ()) -> list[Taken]:
        """Return a page of people's choices about what they are notified of by mail."""
        return await self._mail(mailparts.NOTICE_CHOICES, after)

    async def manning(self, after: Key = ()) -> list[Taken]:
        """Return a page of the hours at which mailboxes are staffed."""
        return await self._mail(mailparts.MANNING, after)

    async def registrations(self, after: Key = ()) -> list[Taken]:
        """Return a page of conversations' registrations in the organisation's own records."""
        return await self._mail(mailparts.REGISTRATIONS, after)

    async def finished(self, after: Key = ()) -> list[Taken]:
        """Return a page of the moments since which conversations are done."""
        return await self._mail(mailparts.FINISHED, after)

    async def holds(self, after: Key = ()) -> list[Taken]:
        """Return a page of holds, which exempt conversations from disposal."""
        return await self._mail(mailparts.HOLDS, after)

    async def disposal_rules(self, after: Key = ()) -> list[Taken]:
        """Return a page of the disposal rules of mailboxes."""
        return await self._mail(mailparts.DISPOSAL_RULES, after)

    async def disposed(self, after: Key = ()) -> list[Taken]:
        """Return a page of records of messages that were disposed of."""
        return await self._mail(mailparts.DISPOSED, after)

    async def presets(self, after: Key = ()) -> list[Taken]:
        """Return a page of presets of mailboxes and people, such as views and text templates."""
        return await self._mail(mailparts.PRESETS, after)

    async def _mail(self, kind: MailPart, after: Key) -> list[Taken]:
        part, sealer = kind.part, self._snapshot.shelf.sealer
        most = _PAGE_WITH_CONTENTS if part.contents else _PAGE
        rows = await self._snapshot.query(kind.question(), *(after or ("",) * len(part.key)), most)
        found = []
        for row in rows:
            facts, body = kind.departing(row, sealer)
            found.append(Taken(facts, self._body(part.contents[0], body) if part.contents else {}))
        return found


class GovernanceDeparture(RecordKeepingDeparture):
    """Departure from a vault of governance."""

    role = Role.GOVERNANCE

    async def persons(self, after: Key = ()) -> list[Taken]:
        """Return a page of people who sign in to its pages."""
        return await self._persons(after)

    async def signed_statements(self, after: Key = ()) -> list[Taken]:
        """Return a page of the record of signed statements."""
        return await self._statements(SIGNED, after)


def _statement(one: NumberedStatement) -> Facts:
    facts: Facts = {"number": one.number, "content": one.content.decode()}
    return facts if one.logged is None else facts | {"logged": one.logged.isoformat()}


def _entry(row: Row) -> Facts:
    sequence, content, previous, digest, retention, salt = row
    return {
        "sequence": sequence,
        "content": None if content is None else content.decode(),
        "previous": parts.from_bytes(previous),
        "hash": parts.from_bytes(digest),
        "retention": retention,
        "salt": None if salt is None else parts.from_bytes(salt),
    }
