"""Alerts that begin and end, and the mails about them: changes are collected and sent together.

A mail states which rule applies, since when, what that means, and where its run book is. It contains nothing
from messages, no names of people and no addresses, because the rules see only metrics, which have none.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from gettext import NullTranslations
from pathlib import Path
from typing import Protocol

from samdrift.config.model import Config
from samdrift.installation.mailing import mail_server
from samdrift.net.smtp import MailRefused, MailServerUnavailable
from samdrift.operations.alertrules import Rule, Severity
from samdrift.operations.findings import Finding, Subject
from samdrift.web.formats import Formats
from samdrift.web.texts import Language, Phrase, Texts

LOCALE = Path(__file__).parent / "locale"
_LOGGER = logging.getLogger("samdrift")
_MAIL = Subject("mail", "neither people nor the operator receive mail")
_TRIAL = Phrase("This is a test: mails about faults arrive here.")
_TRY_EVERY = timedelta(minutes=10)
Which = tuple[str, str]
"""The name of a rule and its subject."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert: a rule whose condition has held for long enough, with the time when it ended, if it has."""

    rule: Rule
    about: str
    since: datetime
    ended: datetime | None = None
    times: int = 1
    """Number of times that the alert was raised since the last mail."""


@dataclass
class Alerts:
    """The current alerts, and the changes that no mail has reported yet."""

    rules: Sequence[Rule]
    _begun: dict[Which, datetime] = field(default_factory=dict)
    """Time at which each condition began to hold."""
    _raised: dict[Which, Alert] = field(default_factory=dict)
    _unreported: dict[Which, Alert] = field(default_factory=dict)

    def judge(self, found: Mapping[str, Collection[str]], now: datetime) -> None:
        """Update the alerts from what the rules find now, by rule name.

        A condition that has held for its rule's time raises an alert; one that no longer holds ends it.
        """
        for rule in self.rules:
            holding = {(rule.name, about): about for about in found.get(rule.name, ())}
            self._end(rule, holding, now)
            for which, about in holding.items():
                began = self._begun[which] = min(self._begun.get(which, now), now)
                if which not in self._raised and now - began >= rule.after:
                    self._raise(which, Alert(rule, about, began))

    def raised(self) -> tuple[Alert, ...]:
        """Return the current alerts."""
        return tuple(self._raised.values())

    def unreported(self) -> tuple[Alert, ...]:
        """Return the changes that no mail has reported."""
        return tuple(self._unreported.values())

    def mark_reported(self, alerts: Iterable[Alert]) -> None:
        """Note that a mail has reported these changes; one that has changed again stays unreported."""
        for each in alerts:
            which = each.rule.name, each.about
            if self._unreported.get(which) == each:
                del self._unreported[which]

    def _raise(self, which: Which, alert: Alert) -> None:
        self._raised[which] = alert
        before = self._unreported.get(which)
        if before is not None:
            alert = replace(before, ended=None, times=before.times + 1)
        self._unreported[which] = alert

    def _end(self, rule: Rule, holding: Collection[Which], now: datetime) -> None:
        for which in [one for one in self._begun if one[0] == rule.name and one not in holding]:
            del self._begun[which]
            raised = self._raised.pop(which, None)
            if raised is not None:
                unreported = self._unreported.get(which, replace(raised, times=0))
                self._unreported[which] = replace(unreported, ended=now)


class MailServer(Protocol):
    """A mail server."""

    async def send(self, mail: EmailMessage, recipient: str) -> None:
        """Send a mail; raise :class:`MailServerUnavailable`, or :class:`MailRefused`."""

    async def reach(self) -> None:
        """Log in without sending anything; raise :class:`MailServerUnavailable` when that fails."""


@dataclass(frozen=True, slots=True)
class AlertMailSettings:
    """Settings for mails to the operator."""

    sender: str
    recipients: tuple[str, ...]
    name: str
    between: timedelta
    command: str
    """The command that shows the state of the installation."""


class AlertMails:
    """Mails about changes, to all of the operator's addresses and at most one per configured interval."""

    def __init__(self, settings: AlertMailSettings, server: MailServer) -> None:
        self._settings = settings
        self._server = server
        self._texts = Texts((LOCALE,))
        self._last: datetime | None = None
        self._tried: datetime | None = None
        self._current: EmailMessage | None = None
        self._waiting: list[str] = []
        """Recipients who have not yet received the current mail."""

    async def send_due(self, alerts: Alerts, now: datetime) -> bool:
        """Send what is due; return whether the mail server was contacted.

        After :class:`MailServerUnavailable` a mail is kept and retried with the next call. When none is due,
        the server is tried every ten minutes, so that an outage is known before a mail is needed.
        """
        asked = await self._deliver()
        unreported = alerts.unreported()
        if unreported and (self._last is None or abs(now - self._last) >= self._settings.between):
            self._current = self.mail_about(unreported, alerts.raised(), now)
            self._waiting = [*self._settings.recipients]
            alerts.mark_reported(unreported)
            self._last = self._tried = now
            asked = await self._deliver()
        elif not asked and (self._tried is None or abs(now - self._tried) >= _TRY_EVERY):
            await self._server.reach()
            self._tried, asked = now, True
        return asked

    async def send_trial(self, now: datetime) -> None:
        """Send a trial mail to each recipient; raise an error also when a recipient is refused."""
        content = "\n--\n".join(_TRIAL.into(self._texts.of(language)) + "\n" for language in Language)
        for each in self._settings.recipients:
            await self._server.send(self._mail(Phrase("a trial"), content, now), each)

    def mail_about(self, changes: Sequence[Alert], raised: Sequence[Alert], now: datetime) -> EmailMessage:
        """Return a mail about changes, which also lists the other current alerts."""
        begun = [each for each in changes if each.ended is None]
        ended = [each for each in changes if each.ended is not None]
        changed = {(each.rule.name, each.about) for each in changes}
        still = [each for each in raised if (each.rule.name, each.about) not in changed]
        begun.sort(key=lambda one: (one.rule.severity is not Severity.PAGE, one.since))
        parts = []
        for language in Language:
            wording = _Wording(self._texts.of(language), Formats(language, now, lasting=True))
            lines = [*wording.begun(begun), *wording.ended(ended), *wording.still(still)]
            if any(each.times > 1 for each in changes):
                lines.append(wording.text(Phrase("Some of these came and went several times.")))
            lines += [wording.text(Phrase("Current state:")), f"  {self._settings.command}", ""]
            parts.append("\n".join(lines))
        return self._mail(_subject(begun, ended), "\n--\n".join(parts), now)

    def _mail(self, subject: Phrase, content: str, now: datetime) -> EmailMessage:
        mail = EmailMessage()
        mail["From"] = self._settings.sender
        mail["To"] = ", ".join(self._settings.recipients)
        said = subject.into(self._texts.of(Language.SWEDISH))
        mail["Subject"] = f"{self._settings.name}: {said}"
        mail["Date"] = format_datetime(now)
        mail["Message-ID"] = make_msgid(domain=self._settings.sender.rpartition("@")[2])
        mail["Auto-Submitted"] = "auto-generated"  # Prevents automatic replies (RFC 3834).
        mail.set_content(content)
        return mail

    async def _deliver(self) -> bool:
        """Send the current mail to recipients who have not received it; return whether there was one."""
        if self._current is None:
            return False
        while self._waiting:
            try:
                await self._server.send(self._current, self._waiting[0])
            except MailRefused as error:
                number = self._settings.recipients.index(self._waiting[0]) + 1
                _LOGGER.warning("alerts: address %d of alerts.mail_to: %s", number, error)
            del self._waiting[0]
        self._current = None
        return True


@dataclass(frozen=True, slots=True)
class _Wording:
    """Lines of a mail in one language."""

    translations: NullTranslations
    formats: Formats

    def text(self, phrase: Phrase) -> str:
        return phrase.into(self.translations)

    def title(self, alert: Alert) -> str:
        return self.text(replace(alert.rule.title, values={"what": alert.about}))

    def begun(self, alerts: Iterable[Alert]) -> Iterator[str]:
        for each in alerts:
            rule = each.rule
            yield self.title(each)
            yield "  " + self.text(Phrase("Since %(time)s.", {"time": self.formats.longer(each.since)}))
            yield "  " + self.text(rule.means)
            yield f"  {rule.name} ({rule.severity.value}): docs/runbooks/{rule.book}.md"
            yield ""

    def ended(self, alerts: Iterable[Alert]) -> Iterator[str]:
        for each in alerts:
            until = each.ended or each.since
            values = {"since": self.formats.longer(each.since), "until": self.formats.longer(until)}
            yield self.text(Phrase("Over: %(title)s", {"title": self.title(each)}))
            yield "  " + self.text(Phrase("From %(since)s to %(until)s.", values))
            yield ""

    def still(self, alerts: Sequence[Alert]) -> Iterator[str]:
        if alerts:
            yield self.text(Phrase("Still current:"))
            yield from (f"  {self.title(each)}" for each in alerts)
            yield ""


async def check_mail(config: Config) -> Finding:
    """Check that the mail server for notices and alerts accepts our login."""
    if config.mail is None:
        return _MAIL.skipped("the configuration names no mail server")
    at = f"{config.mail.host}:{config.mail.port}"
    try:
        await mail_server(config.mail).reach()
    except MailServerUnavailable as error:
        return _MAIL.fail(f"{at}: {error.cause}", "see the table mail of the configuration")
    except MailRefused as error:
        return _MAIL.fail(f"{at}: {error}", "see the table mail of the configuration")
    return _MAIL.ok(f"{at} answers, by TLS that is verified")


def _subject(begun: Sequence[Alert], ended: Sequence[Alert]) -> Phrase:
    if not begun:
        return Phrase("over: %(count)s", {"count": len(ended)})
    if not ended:
        return Phrase("%(count)s raised", {"count": len(begun)})
    return Phrase("%(count)s raised, over: %(over)s", {"count": len(begun), "over": len(ended)})
