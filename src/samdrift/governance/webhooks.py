"""An organisation's own webhook, which is notified of an emergency within seconds.

The webhook receives a signed token (RFC 8417, pushed according to RFC 8935), signed by the organisation's own
key, whose public half is published at the origin of its governance. The token names the statement of the
emergency, but neither people nor anything about a message: the organisation's log has the people and the
reason. Delivery is attempted for a day. The log records delivery, failure and abandonment, so that nothing is
posted twice after a restart.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit

from samdrift.audit.events import AuditEvent
from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import NotServed, Temporary
from samdrift.contracts.principals import Purpose, Role
from samdrift.governance.records import Records
from samdrift.net.client import Fetched, FetchLimits, NoAnswer
from samdrift.rights.consentfold import Consent, consents_of
from samdrift.rights.fields import moment_text
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.jose.jwt import signed
from samdrift.wire.jose.keys import PublicKey

EVENT = "urn:samdrift:event:emergency-begun"
"""Name of the event in the token."""
TRIED_FOR = timedelta(hours=24)
_EVERY = timedelta(seconds=5)
_AGAIN, _NET = timedelta(minutes=1), timedelta(hours=2)
"""Time until the next check after one that failed, and after one that found nothing waiting."""
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=10), timedelta(minutes=10)
_LIMITS = FetchLimits(16 << 10, 20.0)
_HEADERS = {"Content-Type": "application/secevent+jwt", "Accept": "application/json"}


class WebhookEvent(AuditEvent):
    """An event of an organisation's webhook, in its log."""

    GOV_WEBHOOK_DELIVERED = "gov:webhook:delivered"
    """The organisation's webhook accepted the notification of an emergency."""
    GOV_WEBHOOK_FAILED = "gov:webhook:failed"
    """The webhook rejected the first attempt, with the reason; further attempts follow."""
    GOV_WEBHOOK_ABANDONED = "gov:webhook:abandoned"
    """The webhook has not accepted the notification within a day, and no further attempts are made."""


_LAST = frozenset({WebhookEvent.GOV_WEBHOOK_DELIVERED, WebhookEvent.GOV_WEBHOOK_ABANDONED})


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook, and the origin at which the organisation's keys are published."""

    url: str
    issuer: str

    @property
    def host(self) -> str:
        """Host name that is called, as used in health reports."""
        return urlsplit(self.url).hostname or ""


class Posts(Protocol):
    """HTTP client for entered addresses, which only calls public ones and those on the operator's list."""

    async def fetch(
        self,
        url: str,
        limits: FetchLimits,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        """Return the answer; raise :class:`NoAnswer` if there is none."""
        ...


@dataclass(slots=True)
class _Waiting:
    """An emergency of which the webhook has not been notified yet."""

    due: datetime
    attempts: int = 0
    failed: bool = False
    """True when the failure is in the log."""


@dataclass(slots=True)
class _Kept:
    done: set[str] = field(default_factory=set)
    waiting: dict[str, _Waiting] = field(default_factory=dict)


class Webhooks:
    """The webhooks of the organisations served here."""

    def __init__(
        self,
        gate: Gate,
        records: Records,
        targets: Mapping[ParticipantIdentifier, Target],
        posts: Posts,
        clock: Clock,
        watch: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        """``watch`` receives a webhook's host and the reason it was not notified, empty if it was."""
        self._gate = gate
        self._vaults = gate.worker("webhook", Role.GOVERNANCE)
        self._records = records
        self._targets = targets
        self._posts = posts
        self._clock = clock
        self._watch = watch
        self._kept: dict[ParticipantIdentifier, _Kept] = {}
        self._next: dict[ParticipantIdentifier, datetime] = {}
        """Time of the next check of each organisation; one without a time is checked immediately."""

    async def keep(self, on_failure: Callable[[BaseException], None]) -> None:
        """Check each organisation at the start, when something is stated, and when an attempt is due.

        A webhook that does not answer does not delay other organisations.
        """
        looking = dict[ParticipantIdentifier, asyncio.Task[None]]()
        async with asyncio.TaskGroup() as tasks:
            while True:
                now, ours = self._clock(), self._gate.registry.works_for
                looking = {each: task for each, task in looking.items() if not task.done()}
                former = [one for one in self._kept if not (ours(one, Role.GOVERNANCE) or one in looking)]
                for each in former:
                    del self._kept[each]  # Another process works here now; the log has its results.
                    self._next.pop(each, None)
                waits = {each for each, when in self._next.items() if now < when <= now + _NET}
                for each in self._targets.keys() - waits:
                    if ours(each, Role.GOVERNANCE) and each not in looking:
                        looking[each] = tasks.create_task(self._looked(each, on_failure))
                await asyncio.sleep(_EVERY.total_seconds())

    async def hear(self) -> None:
        """Schedule a check of each organisation as soon as something is stated, until cancelled."""
        async for organisation, role in self._gate.wakeups(statements=True):
            if role is Role.GOVERNANCE:
                self._next.pop(organisation, None)

    async def _looked(
        self, organisation: ParticipantIdentifier, on_failure: Callable[[BaseException], None]
    ) -> None:
        """Check an organisation and schedule its next check.

        If something is stated during the check, the next one follows immediately.
        """
        later = self._next[organisation] = self._clock() + _AGAIN
        try:
            async with self._gate.leases.working(organisation, Role.GOVERNANCE):
                await self.look(organisation)
            waiting = self._kept[organisation].waiting.values()
            later = min([self._clock() + _NET, *(each.due for each in waiting)])
        except (Temporary, NotServed):
            pass  # The vault is locked, suspended or unreachable; check again later.
        except Exception as error:
            on_failure(error)
        if organisation in self._next:
            self._next[organisation] = later

    async def look(self, organisation: ParticipantIdentifier) -> None:
        """Post the emergencies of which the organisation has not been notified, if an attempt is due."""
        kept, now = self._kept.setdefault(organisation, _Kept()), self._clock()
        record = await self._records.read(organisation)
        consents = consents_of(record)
        begun = [
            each
            for each in consents.all()
            if each.emergency and each.begins is not None and each.begins > now - 2 * TRIED_FOR
        ]
        for each in begun:
            if each.id not in kept.done and each.id not in kept.waiting:
                await self._recall(organisation, kept, each, now)
        for each in begun:
            one = kept.waiting.get(each.id)
            if one is not None and not now < one.due <= now + _LONGEST_PAUSE:
                number = consents.emergencies(each.begins or now)
                await self._attempt(organisation, kept, each, number, one)

    async def _recall(
        self, organisation: ParticipantIdentifier, kept: _Kept, emergency: Consent, now: datetime
    ) -> None:
        """Restore from the log what happened to a notification before this process started."""
        async with self._vaults.open(organisation, Purpose.PROCESS) as vault:
            events = {entry.event for entry in await vault.find_log(item_of(emergency))}
        if events & _LAST:
            kept.done.add(emergency.id)
        else:
            failed = WebhookEvent.GOV_WEBHOOK_FAILED in events
            kept.waiting[emergency.id] = _Waiting(now, failed=failed)

    async def _attempt(
        self,
        organisation: ParticipantIdentifier,
        kept: _Kept,
        emergency: Consent,
        in_a_week: int,
        one: _Waiting,
    ) -> None:
        target = self._targets[organisation]
        async with self._vaults.open(organisation, Purpose.PROCESS) as vault:
            key = vault.token_keys(now=self._clock())[-1]
        claims = claims_of(organisation, emergency, in_a_week, target, self._clock())
        kid = str(PublicKey.named(key.public).kid)
        token = signed({"typ": "secevent+jwt", "kid": kid}, claims, key)
        fault = await self._posted(target, token.encode())
        self._watch(target.host, fault)
        one.attempts += 1
        event: WebhookEvent | None = None
        assert emergency.begins is not None
        if not fault:
            event = WebhookEvent.GOV_WEBHOOK_DELIVERED
        elif self._clock() >= emergency.begins + TRIED_FOR:
            event = WebhookEvent.GOV_WEBHOOK_ABANDONED
        elif not one.failed:
            event = WebhookEvent.GOV_WEBHOOK_FAILED
        if event is not None:
            facts = {"item": item_of(emergency), "consent": emergency.id, "attempts": str(one.attempts)}
            async with self._vaults.open(organisation, Purpose.PROCESS) as vault:
                vault.record(event, **facts, **({"reason": fault} if fault else {}))
        if event in _LAST:
            kept.done.add(emergency.id)
            del kept.waiting[emergency.id]
            return
        one.failed = True
        one.due = self._clock() + min(_FIRST_PAUSE * (1 << min(one.attempts - 1, 10)), _LONGEST_PAUSE)

    async def _posted(self, target: Target, content: bytes) -> str:
        """Post a token, and return the reason if it was not accepted, otherwise an empty string."""
        try:
            answer = await self._posts.fetch(target.url, _LIMITS, content=content, headers=_HEADERS)
        except NoAnswer as failure:
            return f"no answer: {failure.fault.value}"
        return "" if 200 <= answer.status < 300 else f"status {answer.status}"


def item_of(emergency: Consent) -> str:
    """Return the name under which the log records what happened to the notification of an emergency."""
    return hashlib.sha256(f"webhook {emergency.id}".encode()).hexdigest()[:32]


def claims_of(
    organisation: ParticipantIdentifier, emergency: Consent, in_a_week: int, target: Target, now: datetime
) -> dict[str, object]:
    """Return the claims of the token: which emergency began, its end, and how many there were in a week."""
    assert emergency.begins is not None
    assert emergency.end is not None
    told = {
        "organisation": organisation.value,
        "consent": emergency.id,
        "begins": moment_text(emergency.begins),
        "ends": moment_text(emergency.end),
        "in_a_week": in_a_week,
    }
    return {
        "iss": target.issuer,
        "aud": target.url,
        "iat": int(now.timestamp()),
        "jti": item_of(emergency),
        "events": {EVENT: told},
    }
