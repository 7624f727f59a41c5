"""An organisation's own webhook, at which it is notified of an emergency within seconds.

What is posted is a signed token (RFC 8417, pushed as RFC 8935 says) by the organisation's own key, whose
public half stands at the origin of its governance. It names the statement of the emergency, and neither
people nor anything of a message: who and why is in the organisation's log. It is tried for a day. That it
was delivered, that it failed and that it was given up are entries of that log, so that a restart posts
nothing twice.
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
"""Name of what the token tells."""
TRIED_FOR = timedelta(hours=24)
_EVERY = timedelta(seconds=5)
_AGAIN, _NET = timedelta(minutes=1), timedelta(hours=2)
"""Time to the next look where one failed, and where nothing is known to wait."""
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=10), timedelta(minutes=10)
_LIMITS = FetchLimits(16 << 10, 20.0)
_HEADERS = {"Content-Type": "application/secevent+jwt", "Accept": "application/json"}


class WebhookEvent(AuditEvent):
    """An event of an organisation's webhook, in its log."""

    GOV_WEBHOOK_DELIVERED = "gov:webhook:delivered"
    """The organisation's webhook has accepted that an emergency has begun."""
    GOV_WEBHOOK_FAILED = "gov:webhook:failed"
    """The webhook did not accept it at the first attempt, and why; it is tried again."""
    GOV_WEBHOOK_ABANDONED = "gov:webhook:abandoned"
    """The webhook has not accepted it for a day: it is not tried any more."""


_LAST = frozenset({WebhookEvent.GOV_WEBHOOK_DELIVERED, WebhookEvent.GOV_WEBHOOK_ABANDONED})


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook, and the origin at which the organisation's keys are published."""

    url: str
    issuer: str

    @property
    def host(self) -> str:
        """The host that is called, as health names it."""
        return urlsplit(self.url).hostname or ""


class Posts(Protocol):
    """The client that calls what was entered, public addresses and the operator's list alone."""

    async def fetch(
        self,
        url: str,
        limits: FetchLimits,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        """Return the answer; :class:`NoAnswer` when there is none."""
        ...


@dataclass(slots=True)
class _Waiting:
    """An emergency of which the webhook has not heard."""

    due: datetime
    attempts: int = 0
    failed: bool = False
    """True when the log has that it failed."""


@dataclass(slots=True)
class _Kept:
    done: set[str] = field(default_factory=set)
    waiting: dict[str, _Waiting] = field(default_factory=dict)


class Webhooks:
    """The webhooks of the organisations that are served here."""

    def __init__(
        self,
        gate: Gate,
        records: Records,
        targets: Mapping[ParticipantIdentifier, Target],
        posts: Posts,
        clock: Clock,
        watch: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        """``watch`` is notified of a webhook's host and why it did not accept, or empty."""
        self._gate = gate
        self._vaults = gate.worker("webhook", Role.GOVERNANCE)
        self._records = records
        self._targets = targets
        self._posts = posts
        self._clock = clock
        self._watch = watch
        self._kept: dict[ParticipantIdentifier, _Kept] = {}
        self._next: dict[ParticipantIdentifier, datetime] = {}
        """The time of the next look at each; of one without, something was stated since the last."""

    async def keep(self, on_failure: Callable[[BaseException], None]) -> None:
        """Look at each organisation at the start, when something is stated, and when an attempt is due.

        No organisation waits for a webhook of another one that does not answer.
        """
        looking = dict[ParticipantIdentifier, asyncio.Task[None]]()
        async with asyncio.TaskGroup() as tasks:
            while True:
                now, ours = self._clock(), self._gate.registry.works_for
                looking = {each: task for each, task in looking.items() if not task.done()}
                former = [one for one in self._kept if not (ours(one, Role.GOVERNANCE) or one in looking)]
                for each in former:
                    del self._kept[each]  # What another process does meanwhile is read from the log.
                    self._next.pop(each, None)
                due = [each for each in self._targets if each not in self._next or self._next[each] <= now]
                for each in due:
                    if ours(each, Role.GOVERNANCE) and each not in looking:
                        looking[each] = tasks.create_task(self._looked(each, on_failure))
                await asyncio.sleep(_EVERY.total_seconds())

    async def hear(self) -> None:
        """Have each organisation looked at about which something is stated, until cancelled."""
        async for organisation, role in self._gate.wakeups(statements=True):
            if role is Role.GOVERNANCE:
                self._next.pop(organisation, None)

    async def _looked(
        self, organisation: ParticipantIdentifier, on_failure: Callable[[BaseException], None]
    ) -> None:
        """Look, and note when to look again; what is stated while it looks has it look at once."""
        later = self._next[organisation] = self._clock() + _AGAIN
        try:
            async with self._gate.leases.working(organisation, Role.GOVERNANCE):
                await self.look(organisation)
            waiting = self._kept[organisation].waiting.values()
            later = min([self._clock() + _NET, *(each.due for each in waiting)])
        except (Temporary, NotServed):
            pass  # Locked, suspended or away: it is looked at again.
        except Exception as error:
            on_failure(error)
        if organisation in self._next:
            self._next[organisation] = later

    async def look(self, organisation: ParticipantIdentifier) -> None:
        """Post what the organisation has not heard of, where an attempt is due."""
        kept, now = self._kept.setdefault(organisation, _Kept()), self._clock()
        record = await self._records.read(organisation)
        begun = [
            each
            for each in consents_of(record).all()
            if each.emergency and each.begins is not None and each.begins > now - 2 * TRIED_FOR
        ]
        for each in begun:
            if each.id not in kept.done and each.id not in kept.waiting:
                await self._recall(organisation, kept, each, now)
        for each in begun:
            one = kept.waiting.get(each.id)
            if one is not None and one.due <= now:
                await self._attempt(organisation, kept, each, one)

    async def _recall(
        self, organisation: ParticipantIdentifier, kept: _Kept, emergency: Consent, now: datetime
    ) -> None:
        """Find in the log what became of it before this process began."""
        async with self._vaults.open(organisation, Purpose.PROCESS) as vault:
            events = {entry.event for entry in await vault.find_log(item_of(emergency))}
        if events & _LAST:
            kept.done.add(emergency.id)
        else:
            failed = WebhookEvent.GOV_WEBHOOK_FAILED in events
            kept.waiting[emergency.id] = _Waiting(now, failed=failed)

    async def _attempt(
        self, organisation: ParticipantIdentifier, kept: _Kept, emergency: Consent, one: _Waiting
    ) -> None:
        target = self._targets[organisation]
        async with self._vaults.open(organisation, Purpose.PROCESS) as vault:
            key = vault.token_keys(now=self._clock())[-1]
        claims = claims_of(organisation, emergency, target, self._clock())
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
        """Post a token; returns why it was not accepted, in words of ours."""
        try:
            answer = await self._posts.fetch(target.url, _LIMITS, content=content, headers=_HEADERS)
        except NoAnswer as failure:
            return f"no answer: {failure.fault.value}"
        return "" if 200 <= answer.status < 300 else f"status {answer.status}"


def item_of(emergency: Consent) -> str:
    """Return the name by which the log finds what became of an emergency's call."""
    return hashlib.sha256(f"webhook {emergency.id}".encode()).hexdigest()[:32]


def claims_of(
    organisation: ParticipantIdentifier, emergency: Consent, target: Target, now: datetime
) -> dict[str, object]:
    """Return what the token says: that an emergency has begun, which, from when and until when."""
    assert emergency.begins is not None
    assert emergency.end is not None
    told = {
        "organisation": organisation.value,
        "consent": emergency.id,
        "begins": moment_text(emergency.begins),
        "ends": moment_text(emergency.end),
    }
    return {
        "iss": target.issuer,
        "aud": target.url,
        "iat": int(now.timestamp()),
        "jti": item_of(emergency),
        "events": {EVENT: told},
    }
