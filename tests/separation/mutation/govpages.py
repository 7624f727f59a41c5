"""Mutants that remove guards of the governance pages: access, ownership of statements, and sign-in."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_PAGES = "tests/unit/governance/test_pages.py"
_KEYS = "tests/unit/governance/test_key_pages.py"
_COPIED = "tests/unit/governance/test_counted_back.py"
_SETTLING = "tests/unit/governance/test_settling.py"
_ORDERING = "tests/unit/governance/test_ordering.py"
_INCIDENTS = "tests/unit/governance/test_incident_pages.py"
_PEOPLE = "tests/unit/vault/test_people.py"
_REVIEWING = "tests/unit/governance/test_reviewing.py"
_SILENCE = "test_after_its_time_the_page_says_how_much_closing_removes_and_with_all_vaults_open_it_does"
_BROWSER = "tests/browser/test_governance.py"

GOVPAGES = (
    Mutant(
        "a page of governance is for those with the role",
        "governance/pages/access.py",
        "refused = visit.seen < seen",
        "refused = False",
        (f"{_PAGES}::test_each_sees_the_pages_of_their_role_and_no_other",),
    ),
    Mutant(
        "an auditor is no officer",
        "rights/folding.py",
        "for role in OFFICERS)",
        "for role in OF_ORGANISATION)",
        (f"{_PAGES}::test_an_auditor_has_no_part_in_a_decision",),
    ),
    Mutant(
        "an auditor decides nothing on a page",
        "governance/pages/access.py",
        "if self.roles & OFFICERS:",
        "if self.roles:",
        (f"{_PAGES}::test_an_auditor_changes_nothing",),
    ),
    Mutant(
        "a statement is brought by the person who states it",
        "governance/pages/signing.py",
        "if statement.by != visit.person or statement.organisation != visit.organisation.value:",
        "if statement.organisation != visit.organisation.value:",
        (f"{_PAGES}::test_nobody_brings_a_statement_of_somebody_else",),
    ),
    Mutant(
        "a statement of another organisation is brought nowhere else",
        "governance/pages/signing.py",
        "if statement.by != visit.person or statement.organisation != visit.organisation.value:",
        "if statement.by != visit.person:",
        (f"{_PAGES}::test_nobody_brings_a_statement_of_somebody_else",),
    ),
    Mutant(
        "a private key that is pasted is not repeated",
        "governance/pages/keys.py",
        '    if "PRIVATE KEY" not in form["public"]:',
        "    if True:",
        (f"{_KEYS}::test_a_private_key_that_is_pasted_is_not_repeated",),
    ),
    Mutant(
        "a claim is one of the own sign-in service",
        "governance/pages/rights.py",
        "return Subject.claim(session.person.issuer, name, value)",
        'return Subject.parse(f"claim:{text}")',
        (
            "tests/unit/governance/test_giving.py"
            "::test_a_right_is_given_to_a_system_and_to_all_with_a_claim_of_the_own_service",
        ),
    ),
    Mutant(
        "a sign-in is a person of the record only by a signature in its own namespace",
        "governance/pages/keys.py",
        " and found.namespace == PROOF_NAMESPACE",
        "",
        (f"{_PAGES}::test_a_sign_in_is_the_person_whose_key_has_signed_so",),
    ),
    Mutant(
        "a person without a role sees no statement of others",
        "governance/pages/deciding.py",
        "if visit.seen is Seen.SIGNED_IN and not own:",
        "if False:",
        (f"{_PAGES}::test_each_sees_the_pages_of_their_role_and_no_other",),
    ),
    Mutant(
        "an incident of the operator's is the operator's to add to",
        "governance/pages/oversight.py",
        "if known.from_operator:",
        "if False:",
        (
            f"{_INCIDENTS}::test_what_the_operator_told_of_stands_beside_ones_own_and_is_the_operators_to_add_to",
        ),
    ),
    Mutant(
        "a key that may have a copy is shown",
        "governance/pages/keys.py",
        "if key.key.scheme is Scheme.WEBAUTHN:",
        "if False:",
        (f"{_COPIED}::test_a_key_that_may_have_a_copy_is_shown_to_the_officers_until_it_is_stated_lost",),
    ),
    Mutant(
        "the key that counted less than before is named where it is refused",
        "governance/records.py",
        '{"counted_back": each.key} if verdict is Refusal.COUNTER else {}',
        "{}",
        (f"{_COPIED}::test_a_key_that_may_have_a_copy_is_shown_to_the_officers_until_it_is_stated_lost",),
    ),
    Mutant(
        "rights that cannot be read here are not ended by a page",
        "governance/pages/settling.py",
        "if found is None:",
        "if False:",
        (f"{_SETTLING}::test_where_the_message_clients_vault_is_closed_the_page_says_so_and_ends_nothing",),
    ),
    Mutant(
        "an order shows something to the operator's staff alone",
        "governance/pages/consents.py",
        "return [each for each in found if is_staff(each)]",
        "return [*found]",
        (f"{_ORDERING}::test_an_order_that_cannot_be_is_refused_with_the_field_and_keeps_what_was_typed",),
    ),
    Mutant(
        "a key is stated lost by its person or an officer",
        "governance/pages/keys.py",
        "if found.act.to != visit.person and visit.seen is not Seen.OFFICER:",
        "if False:",
        (f"{_PAGES}::test_the_key_of_another_is_not_there_for_whoever_has_no_role",),
    ),
    Mutant(
        "a person takes nobody's id in governance",
        "vault/sql/officers-1.sql",
        "    IF EXISTS (SELECT FROM persons p WHERE p.id = $3) THEN\n        RETURN false;\n    END IF;\n",
        "",
        (f"{_PEOPLE}::test_an_officer_takes_nobodys_id",),
    ),
    Mutant(
        "a key that is offered is sealed for its person",
        "vault/officers.py",
        'return f"offered key of {person} at',
        'return f"offered key at',
        (f"{_PEOPLE}::test_a_key_that_was_moved_to_another_person_is_not_read",),
    ),
    Mutant(
        "no session of an officer outlives a suspension",
        "vault/people.py",
        "WITH_SESSIONS = frozenset({Role.MESSAGE_CLIENT, Role.GOVERNANCE})",
        "WITH_SESSIONS = frozenset({Role.MESSAGE_CLIENT})",
        (f"{_PEOPLE}::test_no_session_of_an_officer_outlives_a_suspension",),
    ),
    Mutant(
        "what is signed is what stands on the page",
        "governance/pages/static/sign.js",
        "if (written !== form.dataset.digest) {",
        "if (false) {",
        (f"{_BROWSER}::test_a_text_that_was_changed_on_its_way_is_not_signed",),
    ),
    Mutant(
        "what people write themselves is shown as it is",
        "governance/pages/words.py",
        "shown = str if name in _IN_OWN_WORDS else partial(self._member, name)",
        "shown = self._value",
        (f"{_PAGES}::test_what_the_operator_writes_itself_is_shown_as_it_is",),
    ),
    Mutant(
        "whoever only asks for a key calls nobody by another name",
        "governance/pages/access.py",
        "Names({**names_of(record), **found.persons, **known}",
        "Names({**found.persons, **known, **names_of(record)}",
        (f"{_PAGES}::test_who_only_asks_for_a_key_names_nobody_anew",),
    ),
    Mutant(
        "the key that is asked for is the one that the officer has compared",
        "governance/pages/keys.py",
        'if form["key"] != key.fingerprint:',
        "if False:",
        (f"{_PAGES}::test_a_key_that_was_offered_since_the_officer_looked_is_not_asked_for",),
    ),
    Mutant(
        "a statement of somebody else that is brought is in the log",
        "governance/pages/signing.py",
        "await self._access.log_others(visit, statement)",
        "pass",
        (f"{_PAGES}::test_nobody_brings_a_statement_of_somebody_else",),
    ),
    Mutant(
        "a signed page leads to this site alone",
        "governance/pages/signing.py",
        'back = local(form["back"])',
        'back = form["back"]',
        (f"{_PAGES}::test_a_page_that_is_signed_leads_to_no_other_site",),
    ),
    Mutant(
        "a device keeps the passkey that it had",
        "governance/pages/static/sign.js",
        "user: { id: crypto.getRandomValues(new Uint8Array(32)), name",
        "user: { id: new Uint8Array(32), name",
        (f"{_BROWSER}::test_a_new_passkey_leaves_the_one_before_on_the_device",),
    ),
    Mutant(
        "what is refused leaves the record as it was read",
        "governance/records.py",
        "if record.number > before:  # Drop",
        "if True:  # Drop",
        (f"{_PAGES}::test_what_is_refused_has_nobody_verify_the_whole_record_again",),
    ),
    Mutant(
        "a name has nothing that nobody sees",
        "governance/pages/directory.py",
        'filter(visible, normalize("NFC", name))',
        'normalize("NFC", name)',
        (f"{_PAGES}::test_a_name_is_written_without_what_nobody_sees",),
    ),
    Mutant(
        "only who reviews answers in a review",
        "governance/pages/reviewing.py",
        'if form["answer"] == outcome and reviewer and any(',
        'if form["answer"] == outcome and any(',
        (f"{_REVIEWING}::test_nobody_but_reviewer_and_stand_in_answers_in_a_review",),
    ),
    Mutant(
        "a review is shown to those who have a role or answer in it",
        "governance/pages/reviewing.py",
        "if each.id in opening and (visit.seen is not Seen.SIGNED_IN or answers_in(each, visit.person)):",
        "if each.id in opening:",
        (f"{_REVIEWING}::test_a_manager_without_a_role_answers_in_their_own_review_and_sees_no_other",),
    ),
    Mutant(
        "nobody answers on a page for a right of their own",
        "governance/pages/reviewing.py",
        "if isinstance(act, Reviewed) and _own(visit, review, act.of):",
        "if False:",
        (f"{_REVIEWING}::test_nobody_answers_for_a_right_of_their_own",),
    ),
    Mutant(
        "no review ends by silence while a vault is locked, on a page neither",
        "governance/records.py",
        "await self._require_answerable(organisation, signed)",
        "pass",
        (f"{_REVIEWING}::{_SILENCE}",),
    ),
)
