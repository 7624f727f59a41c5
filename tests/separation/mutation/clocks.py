"""Mutants that remove guards against times that were stored while the clock was ahead."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_CERTIFICATES = "tests/unit/net/test_certificates.py"
_BOOK = "tests/unit/federation/test_addressbook_copy.py"
_KEYS = "tests/unit/messageservice/oauth/test_keysource.py"
_BREAKER = "tests/unit/accesspoint/test_breaker.py"
_WATCH = "tests/unit/operations/test_watch.py"
_POLLING = "tests/unit/messageservice/incoming/test_polling.py"
_LIMITS = "tests/unit/messageservice/incoming/test_limits.py"
_DISCOVERY = "tests/unit/net/test_discovery.py"
_TOKENS = "tests/unit/messageservice/oauth/test_token_endpoint.py"
_REFUSALS = "tests/unit/accesspoint/test_refusals.py"
_ENTRANCE = "tests/unit/messageclient/test_entrance.py"
_STAMPS = "tests/unit/installation/test_timestamping.py"
_DIRECTORIES = "tests/unit/installation/test_directories.py"
_RECONCILING = "tests/unit/installation/test_reconciling.py"
_DOMIBUS_INBOX = "tests/unit/domibus/test_inbox.py"
_DOMIBUS = "tests/unit/domibus/test_events.py"
_FETCHING = "tests/unit/messageclient/test_fetching.py"
_KEPT = "tests/unit/web/test_kept.py"
_WEBHOOKS = "tests/unit/governance/test_webhooks.py"
_REMINDING = "tests/unit/installation/test_reminding.py"
_QUEUES = "tests/unit/accesspoint/test_queuelengths.py"

CLOCKS = (
    Mutant(
        "a service of an issuer is asked again when a clock that was ahead is right again",
        "net/revocation.py",
        "now < kept.ask_again <= now + max(self._keep, self._retry):",
        "now < kept.ask_again:",
        (
            f"{_CERTIFICATES}::"
            "test_services_that_seemed_late_while_our_clock_was_ahead_are_asked_again_when_it_is_right",
        ),
    ),
    Mutant(
        "a copy of the address book made while the clock was ahead is due at once when it is right",
        "net/addressbook.py",
        "return 0.0 if age < timedelta() else max(",
        "return max(",
        (f"{_BOOK}::test_a_copy_made_while_the_clock_was_ahead_is_due_at_once_when_it_is_right",),
    ),
    Mutant(
        "keys of an issuer fetched while the clock was ahead are fetched again when it is right",
        "net/keysource.py",
        "abs(now - then) < age",
        "now - then < age",
        (f"{_KEYS}::test_an_issuer_asked_while_the_clock_was_ahead_is_asked_again_when_it_is_right",),
    ),
    Mutant(
        "a peer that was silent while the clock was ahead is tried when it is right",
        "accesspoint/breaker.py",
        "now < silence.until <= now + self.longest",
        "now < silence.until",
        (f"{_BREAKER}::test_one_that_was_silent_while_the_clock_was_ahead_is_tried_when_it_is_right",),
    ),
    Mutant(
        "mails to the operator go on when a clock that was ahead is right",
        "operations/alertmail.py",
        "abs(now - self._last)",
        "now - self._last",
        (f"{_WATCH}::test_mails_go_on_as_soon_as_a_clock_that_was_ahead_is_right",),
    ),
    Mutant(
        "a condition that began while the clock was ahead is an alert after its time",
        "operations/alertmail.py",
        "self._begun[which] = min(self._begun.get(which, now), now)",
        "self._begun.setdefault(which, now)",
        (f"{_WATCH}::test_a_condition_that_began_while_the_clock_was_ahead_is_an_alert_after_its_time",),
    ),
    Mutant(
        "a mail server tried while the clock was ahead is tried again when it is right",
        "operations/alertmail.py",
        "abs(now - self._tried)",
        "now - self._tried",
        (f"{_WATCH}::test_a_mail_server_tried_while_the_clock_was_ahead_is_tried_again_when_it_is_right",),
    ),
    Mutant(
        "what was counted while the clock was ahead raises no alert when it is right",
        "operations/alertrules.py",
        "not oldest <= values[0][0] <= at:",
        "values[0][0] < oldest:",
        (f"{_WATCH}::test_what_was_counted_while_the_clock_was_ahead_is_no_cause_when_it_is_right",),
    ),
    Mutant(
        "envelopes deferred while the clock was ahead are tried again when it is right",
        "messageservice/incoming/polling.py",
        "if now < when <= later}",
        "if now < when}",
        (f"{_POLLING}::test_envelopes_deferred_while_the_clock_was_ahead_are_tried_again_when_it_is_right",),
    ),
    Mutant(
        "the time of an envelope deferred while the clock was ahead is not waited for",
        "messageservice/incoming/polling.py",
        "min(min(self.deferred.values()) - now, self.limits.again_after)",
        "min(self.deferred.values()) - now",
        (f"{_POLLING}::test_the_time_of_an_envelope_deferred_while_the_clock_was_ahead_is_not_waited_for",),
    ),
    Mutant(
        "a sender found limited while the clock was ahead is judged again when it is right",
        "messageservice/incoming/polling.py",
        "not now < limit.until <= later",
        "limit.until <= now",
        (
            f"{_LIMITS}::"
            "test_a_sender_found_limited_while_the_clock_was_ahead_is_judged_again_when_it_is_right",
        ),
    ),
    Mutant(
        "metadata kept while the clock was ahead is looked up again when it is right",
        "net/cache.py",
        "timedelta() < found[1] - at <= self._longest",
        "timedelta() < found[1] - at",
        (f"{_DISCOVERY}::test_metadata_kept_while_the_clock_was_ahead_is_looked_up_again_when_it_is_right",),
    ),
    Mutant(
        "failures counted while the clock was ahead limit nothing when it is right",
        "messageservice/oauth/endpoint.py",
        "abs(now - began)",
        "now - began",
        (f"{_TOKENS}::test_failures_counted_while_the_clock_was_ahead_limit_nothing_when_it_is_right",),
    ),
    Mutant(
        "a peer's refusals counted while the clock was ahead suppress no alarm when it is right",
        "accesspoint/refusals.py",
        "abs(now - count.since)",
        "now - count.since",
        (
            f"{_REFUSALS}::"
            "test_refusals_counted_while_the_clock_was_ahead_do_not_suppress_the_alarm_when_it_is_right",
        ),
    ),
    Mutant(
        "failed sign-ins are logged again when a clock that was ahead is right",
        "entrance/signedin.py",
        "abs(now - self._since)",
        "now - self._since",
        (f"{_ENTRANCE}::test_failed_sign_ins_are_logged_again_when_a_clock_that_was_ahead_is_right",),
    ),
    Mutant(
        "an authority that gave a clock that was ahead no stamp is asked again when it is right",
        "installation/timestamping.py",
        "now < self._away <= now + _WHILE_GONE",
        "now < self._away",
        (f"{_STAMPS}::test_a_log_looked_at_while_the_clock_was_ahead_is_stamped_when_it_is_right",),
    ),
    Mutant(
        "a log looked at while the clock was ahead is stamped when it is right",
        "installation/timestamping.py",
        "self._due.get(state.origin, now) <= now + _EVERY",
        "self._due.get(state.origin, now)",
        (f"{_STAMPS}::test_a_log_looked_at_while_the_clock_was_ahead_is_stamped_when_it_is_right",),
    ),
    Mutant(
        "a directory read while the clock was ahead is read again when it is right",
        "installation/directories.py",
        "now < due <= now + timedelta(minutes=place.own.minutes)",
        "now < due",
        (f"{_DIRECTORIES}::test_a_directory_read_while_the_clock_was_ahead_is_read_again_when_it_is_right",),
    ),
    Mutant(
        "logs are compared soon after a clock that was ahead is set right",
        "installation/reconciling.py",
        "if now < before:",
        "if False:",
        (f"{_RECONCILING}::test_all_are_compared_soon_after_a_clock_that_was_ahead_is_set_right",),
    ),
    Mutant(
        "a message of Domibus passed over while the clock was ahead is reported when it is right",
        "domibus/accesspoint.py",
        "now < until <= now + _LATER",
        "now < until",
        (
            f"{_DOMIBUS_INBOX}::test_what_was_passed_over_while_the_clock_was_ahead_is_told_of_when_it_is_right",
        ),
    ),
    Mutant(
        "the vault is asked for transfers to Domibus again when a clock that was ahead is right",
        "domibus/accesspoint.py",
        "abs(now - self._asked) >= _ANEW",
        "now - self._asked >= _ANEW",
        (f"{_DOMIBUS}::test_the_vault_is_asked_again_when_a_clock_that_was_ahead_is_right",),
    ),
    Mutant(
        "a message that failed while the clock was ahead is fetched when it is right",
        "messageclient/fetching.py",
        "now < self.again <= now + _MAX_PAUSE",
        "now < self.again",
        (f"{_FETCHING}::test_what_failed_while_the_clock_was_ahead_is_fetched_when_it_is_right",),
    ),
    Mutant(
        "what is no message is kept ten minutes after a clock that was ahead is right",
        "messageclient/fetching.py",
        "        one.since = min(one.since, now)\n",
        "",
        (f"{_FETCHING}::test_what_is_no_message_is_kept_ten_minutes_after_a_clock_that_was_ahead_is_right",),
    ),
    Mutant(
        "metadata of a sign-in service fetched while the clock was ahead are fetched again when it is right",
        "web/signin/kept.py",
        "abs(now - self._fetched_at) > self._fresh",
        "now - self._fetched_at > self._fresh",
        (f"{_KEPT}::test_what_was_published_while_the_clock_was_ahead_is_fetched_again_when_it_is_right",),
    ),
    Mutant(
        "a sign-in service asked while the clock was ahead is asked again when it is right",
        "web/signin/kept.py",
        "abs(now - self._tried_at) > _PAUSE",
        "now - self._tried_at > _PAUSE",
        (f"{_KEPT}::test_what_was_published_while_the_clock_was_ahead_is_fetched_again_when_it_is_right",),
    ),
    Mutant(
        "metadata of a sign-in service from the future are not used while it is down",
        "web/signin/kept.py",
        "abs(now - self._fetched_at) > _STALE",
        "now - self._fetched_at > _STALE",
        (f"{_KEPT}::test_what_was_published_while_the_clock_was_ahead_is_fetched_again_when_it_is_right",),
    ),
    Mutant(
        "an organisation's webhook is looked after again when a clock that was ahead is right",
        "governance/webhooks.py",
        "now < when <= now + _NET}",
        "now < when}",
        (
            f"{_WEBHOOKS}::"
            "test_a_webhook_that_failed_while_the_clock_was_ahead_is_tried_again_when_it_is_right",
        ),
    ),
    Mutant(
        "a webhook that failed while the clock was ahead is tried again when it is right",
        "governance/webhooks.py",
        "now < one.due <= now + _LONGEST_PAUSE",
        "now < one.due",
        (
            f"{_WEBHOOKS}::"
            "test_a_webhook_that_failed_while_the_clock_was_ahead_is_tried_again_when_it_is_right",
        ),
    ),
    Mutant(
        "reminders are looked for again when a clock that was ahead is set right",
        "installation/reminding.py",
        "if now < before:",
        "if False:",
        (f"{_REMINDING}::test_all_are_looked_at_again_when_a_clock_that_was_ahead_is_set_right",),
    ),
    Mutant(
        "a queue counted while the clock was ahead is counted again when it is right",
        "accesspoint/outbound.py",
        "abs(now - self._looked) >= self._every",
        "now - self._looked >= self._every",
        (
            f"{_QUEUES}::"
            "test_a_queue_that_was_counted_while_the_clock_was_ahead_is_counted_again_when_it_is_right",
        ),
    ),
)
