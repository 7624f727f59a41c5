"""Mutants that remove guards of the operator's console: sign-in, access to pages, and the queue addressed."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_PAGES = "tests/unit/console/test_pages.py"
_CERTIFICATES = "tests/unit/console/test_certificates.py"
_ACTING = "tests/unit/console/test_acting.py"
_OUTAGES = "tests/unit/console/test_outages.py"
_SEPARATION = "tests/separation/test_every_console_page.py"

CONSOLE = (
    Mutant(
        "an organisation that cannot be reached keeps no other from hearing of an outage",
        "console/outages.py",
        "        await note_during_outage(installation, ConsoleEvent.OUTAGE_ANNOUNCED,",
        "        await note(installation, ConsoleEvent.OUTAGE_ANNOUNCED,",
        (
            f"{_OUTAGES}::test_an_organisation_that_cannot_be_reached_keeps_no_other_from_hearing_and_is_named",
        ),
    ),
    Mutant(
        "an organisation that cannot be reached keeps no other from hearing of a withdrawal",
        "console/outages.py",
        "        await note_during_outage(installation, event,",
        "        await note(installation, event,",
        (
            f"{_OUTAGES}::test_an_organisation_that_cannot_be_reached_keeps_no_other_from_hearing_and_is_named",
        ),
    ),
    Mutant(
        "an outage is withdrawn also when every organisation has left",
        "console/outages.py",
        "    if not here:\n",
        "    if False:\n",
        (f"{_OUTAGES}::test_an_outage_is_withdrawn_also_when_every_organisation_has_left",),
    ),
    Mutant(
        "a silence over the end of an hour is recorded exactly",
        "console/availability.py",
        "(((each - start).total_seconds() for each in silence)",
        "((int((each - start).total_seconds()) for each in silence)",
        (
            "tests/unit/console/test_watching.py"
            "::test_a_silence_over_the_end_of_an_hour_is_as_long_in_the_log_as_it_was",
        ),
    ),
    Mutant(
        "only the operator's staff sign in to the console",
        "console/staff.py",
        "        if name is None:\n            raise SignInFailed(Fault.PERSON)\n",
        '        name = name or ""\n',
        (
            f"{_PAGES}::test_one_of_the_staff_signs_in_and_another_person_does_not",
            f"{_SEPARATION}::test_a_person_who_is_not_of_the_staff_gets_no_session",
        ),
    ),
    Mutant(
        "a sign-in to the console makes one session",
        "console/staff.py",
        "        if session.sign_in in self._sign_ins:\n            return False\n",
        "",
        (f"{_PAGES}::test_a_sign_in_that_is_replayed_begins_no_second_session",),
    ),
    Mutant(
        "the console's pages are for people who are signed in",
        "console/frame.py",
        "        if session is None or name is None:\n            raise NotSignedIn\n",
        '        assert session is not None\n        name = name or ""\n',
        (f"{_SEPARATION}::test_nobody_but_the_staff_sees_or_changes_anything",),
    ),
    Mutant(
        "a session by certificate holds on connections with that certificate alone",
        "web/guards.py",
        "    return session if site.holds(session, request.scope.get(SHOWN_CERTIFICATE)) else None\n",
        "    return session\n",
        (
            f"{_SEPARATION}::test_a_cookie_without_its_certificate_opens_no_route_where_persons_sign_in_by"
            "_certificate",
            f"{_CERTIFICATES}::test_a_session_holds_on_connections_with_its_own_certificate_alone",
        ),
    ),
    Mutant(
        "whom the configuration does not name with a key does nothing at the console",
        "console/frame.py",
        "                    member(self._named, visit.name, _COMMAND)\n",
        "                    pass\n",
        (
            f"{_SEPARATION}::test_one_who_signs_in_and_is_not_named_among_the_staff_with_keys_looks_and_does"
            "_nothing",
            f"{_ACTING}::test_an_act_of_one_who_is_not_named_with_a_key_is_refused_in_words_and_noted",
        ),
    ),
    Mutant(
        "what was refused at the console is in the operator's log",
        "console/frame.py",
        "        await gate.operator_log(AdminEvent.COMMAND_REFUSED, **facts, **visit.proof.facts())\n",
        "",
        (f"{_ACTING}::test_an_act_of_one_who_is_not_named_with_a_key_is_refused_in_words_and_noted",),
    ),
    Mutant(
        "an entry says how a person at the console is known",
        "console/frame.py",
        "Visit(name, self._staff.proof_of(session.person), self._clock())",
        "Visit(name, Proof(ProofKind.NONE), self._clock())",
        (f"{_ACTING}::test_each_act_names_the_person_and_the_sign_in_that_they_are_known_by",),
    ),
    Mutant(
        "a person of the console who signed in by a certificate is known by it",
        "console/staff.py",
        'shown = person.provider_session or "" if self.by_certificate else ""',
        'shown = ""',
        (f"{_CERTIFICATES}::test_a_certificate_of_the_staffs_signs_in_and_is_logged_as_any_sign_in",),
    ),
    Mutant(
        "the console does not start on names that others can write",
        "cli/console.py",
        "        require_owners_alone(loaded, config)\n",
        "",
        ("tests/unit/cli/test_console.py::test_names_that_others_can_write_open_no_console",),
    ),
    Mutant(
        "a certificate is of a person's only where its issuer issued it directly",
        "web/signin/certificate.py",
        "        if issuer is None:\n            raise SignInFailed(Fault.CERTIFICATE_ISSUER, _ANOTHER)\n",
        "        if issuer is None:\n            return\n",
        ("tests/unit/web/test_signin_certificate.py::test_what_an_issuer_below_has_issued_is_not_accepted",),
    ),
    Mutant(
        "a certificate that is on its issuer's list signs nobody in",
        "web/signin/certificate.py",
        "            raise SignInFailed(Fault.REVOKED, _REVOKED)\n        if not in_force:\n",
        "            return\n        if not in_force:\n",
        (
            f"{_CERTIFICATES}::test_a_certificate_that_is_revoked_meanwhile_ends_the_session_and_signs_nobody_in",
        ),
    ),
    Mutant(
        "without a revocation list in force nobody signs in",
        "web/signin/certificate.py",
        "        if not in_force:\n            raise SignInFailed(Fault.REVOCATION_UNKNOWN, _LIST_ENDED)\n",
        "",
        (f"{_CERTIFICATES}::test_without_a_list_in_force_nobody_signs_in_and_the_page_says_why",),
    ),
)
