"""Mutants that remove guards of access to an organisation's pages: sessions in its vault, and rights."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_ENTRANCE = "tests/unit/messageclient/test_entrance.py"
_PEOPLE = "tests/unit/vault/test_people.py"
_CONFIG = "tests/unit/config/test_reader.py"
_RIGHTS_PAGE = f"{_ENTRANCE}::test_an_administrator_gives_and_ends_rights_and_sees_no_content_by_that"
_READERS_PAGE = f"{_ENTRANCE}::test_a_reader_sees_who_reads_and_gives_nothing"

ENTRANCE = (
    Mutant(
        "a person without any right sees no page",
        "messageclient/entrance/access.py",
        "if not permissions.any():",
        "if False:",
        (f"{_ENTRANCE}::test_a_person_without_any_right_sees_nothing_and_is_signed_out",),
    ),
    Mutant(
        "a right that ended while a file was on its way keeps it out",
        "messageclient/writing.py",
        "        await scope.renew()\n",
        "",
        (f"{_ENTRANCE}::test_what_ends_while_a_file_is_on_its_way_keeps_the_file_out",),
    ),
    Mutant(
        "a session that ended while a file was on its way keeps it out",
        "messageclient/entrance/access.py",
        "if value is None or await site_of(request).sessions.find(value, used=used) is None:",
        "if value is None:",
        (f"{_ENTRANCE}::test_what_ends_while_a_file_is_on_its_way_keeps_the_file_out",),
    ),
    Mutant(
        "rights are read anew with each request",
        "messageclient/permissions.py",
        "copy = await self._current(organisation, vault, facts)\n        record =",
        "copy = self._copies.get(organisation) or await self._current(organisation, vault, facts)\n"
        "        record =",
        (f"{_ENTRANCE}::test_a_right_that_ends_is_gone_at_the_next_request",),
    ),
    Mutant(
        "a request of another site in a person's session is in the organisation's log",
        "web/application.py",
        "await hears(session, refused.refusal)",
        "pass",
        (f"{_ENTRANCE}::test_a_request_that_another_site_makes_in_a_persons_name_is_in_the_log",),
    ),
    Mutant(
        "a claim of a session counts while the latest sign-in vouches for it",
        "messageclient/permissions.py",
        " & assigned.vouched_for(person)",
        "",
        (f"{_ENTRANCE}::test_who_left_a_group_has_nothing_by_it_in_an_older_session_either",),
    ),
    Mutant(
        "a statement without effect is not stored",
        "messageclient/permissions.py",
        "if effect not in (Effect.TAKEN, Effect.WAITING):",
        "if False:",
        (f"{_ENTRANCE}::test_nobody_gives_without_authority_or_to_themselves",),
    ),
    Mutant(
        "who reads a mailbox is shown to those in it, and to those who give and watch rights",
        "messageclient/assigning/routes.py",
        "any(may(right, mailbox) for right in OF_MAILBOX)",
        "True",
        (_READERS_PAGE,),
    ),
    Mutant(
        "rights are given by an administrator or the manager of the mailbox",
        "messageclient/assigning/routes.py",
        "may = _may_give if to_give else _may_see",
        "may = _may_see",
        (_READERS_PAGE,),
    ),
    Mutant(
        "a page about rights ends decisions about its own mailbox alone",
        "messageclient/assigning/routes.py",
        "            return way.digest\n    return None",
        "            return way.digest\n    return assigned.copy.digests[int(number) - 1]",
        (_RIGHTS_PAGE,),
    ),
    Mutant(
        "sessions of others are ended by an administrator alone",
        "messageclient/assigning/signingout.py",
        "allowed = visit.permissions.may(Right.ADMINISTRATOR)",
        "allowed = True",
        (f"{_ENTRANCE}::test_an_administrator_signs_a_person_out_in_all_browsers_and_nobody_else_can",),
    ),
    Mutant(
        "a suspended organisation's pages are closed",
        "entrance/sites.py",
        "return self._site(_CLOSED_KEY, Closed.SUSPENDED)",
        "return None",
        (f"{_ENTRANCE}::test_a_suspended_organisation_says_so_and_no_session_outlives_it",),
    ),
    Mutant(
        "no session outlives a suspension",
        "vault/provision.py",
        "                    if ends:",
        "                    if False:",
        (f"{_PEOPLE}::test_no_session_outlives_a_suspension",),
    ),
    Mutant(
        "strangers fill no log with failed sign-ins",
        "entrance/signedin.py",
        "if self._count >= _MOST_IN_LOG:",
        "if False:",
        (f"{_ENTRANCE}::test_strangers_fill_no_log_with_sign_ins_that_fail",),
    ),
    Mutant(
        "one sign-in begins one session in the vault",
        "vault/sql/session-use-1.sql",
        "    IF NOT FOUND THEN\n        RETURN false;\n    END IF;\n    INSERT INTO sessions",
        "    INSERT INTO sessions",
        (f"{_PEOPLE}::test_one_sign_in_begins_one_session_also_after_that_one_ended",),
    ),
    Mutant(
        "a notice of logout ends nothing when it names neither person nor session",
        "vault/sql/people-1.sql",
        "AND coalesce($1, $2) IS NOT NULL",
        "",
        (f"{_PEOPLE}::test_a_sign_in_service_ends_sessions",),
    ),
    Mutant(
        "sign-in and pages of the demonstration are for it alone",
        "config/reader.py",
        "if config.environment is Environment.DEMONSTRATION:",
        "if True:",
        (f"{_CONFIG}::test_sign_in_of_the_demonstration_is_refused_elsewhere",),
    ),
)
