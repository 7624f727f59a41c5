"""The guards of interface A, each as the mutant that lacks it."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_VERDICT = "tests/unit/accesspoint/test_verdict.py"
_OUTBOUND = "tests/unit/accesspoint/test_outbound.py"
_FROM_THE_HEADER = f"{_VERDICT}::test_ebms3_core_6_an_error_is_read_from_the_header_and_the_body_is_ignored"

INTERFACE_A = (
    Mutant(
        "a message has no security timestamp unless its profile does",
        "accesspoint/outbound.py",
        "created=created if route.profile.security_timestamp else None",
        "created=created",
        (f"{_OUTBOUND}::test_2_2_a_security_timestamp_is_sent_where_the_profile_has_one_and_nowhere_else",),
    ),
    Mutant(
        "a security timestamp is for the peers that the operator names",
        "accesspoint/route.py",
        "party in self._settings.timestamp_peers",
        "bool(self._settings.timestamp_peers)",
        (
            "tests/unit/accesspoint/test_route.py"
            "::test_2_2_one_peer_gets_a_security_timestamp_where_the_operator_says_so",
        ),
    ),
    Mutant(
        "a user message has nothing in its Body",
        "wire/as4/header.py",
        "    require_empty_body(document)\n",
        "",
        ("tests/unit/wire/as4/test_wrapping.py::test_content_in_the_body_is_refused",),
    ),
    Mutant(
        "the Body of a signal is ignored",
        "wire/wssec/document.py",
        "    messaging, security = _blocks(header)\n",
        "    messaging, security = _blocks(header)\n"
        '    if children(body):\n        raise _malformed("not empty", "Body")\n',
        (_FROM_THE_HEADER,),
    ),
    Mutant(
        "NOT_SERVICED ends a transfer at once",
        "accesspoint/verdict.py",
        "if any(error.detail.strip() == NOT_SERVICED for error in errors):",
        "if False:",
        (_FROM_THE_HEADER,),
    ),
    Mutant(
        "a security timestamp is judged against the clock",
        "accesspoint/freshness.py",
        "if expires is not None and expires < now - tolerance:",
        "if False:",
        ("tests/unit/accesspoint/test_freshness.py",),
    ),
    Mutant(
        "the words of a peer steer no terminal",
        "accesspoint/verdict.py",
        'each if each.isprintable() else "\\ufffd"',
        "each",
        (f"{_VERDICT}::test_the_words_of_a_peer_are_one_line_that_steers_no_terminal",),
    ),
)
