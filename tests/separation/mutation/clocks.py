"""Mutants that remove guards against times that were stored while the clock was ahead."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_CERTIFICATES = "tests/unit/net/test_certificates.py"
_BOOK = "tests/unit/federation/test_addressbook_copy.py"
_KEYS = "tests/unit/messageservice/oauth/test_keysource.py"
_BREAKER = "tests/unit/accesspoint/test_breaker.py"

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
)
