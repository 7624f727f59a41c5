"""Mutants that remove guards of who acts at the operator's command line."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_PROVING = "tests/unit/cli/test_proving.py"
_FILES = "tests/unit/cli/test_signed_files.py"
_EXCHANGED = f"{_FILES}::test_a_file_that_is_exchanged_while_its_signature_is_made_is_refused"
_HOSTILE = "tests/unit/portability/test_hostile.py"
_PREPARING = "tests/unit/cli/test_preparing.py"
_NOBODY = f"{_PROVING}::test_nobody_acts_in_the_name_of_another"

ACTING = (
    Mutant(
        "a command is signed by a key of the one whom it names",
        "administration/staff.py",
        '        raise NotOfTheStaff(StaffFault.SIGNATURE, f"{why} {who.name}, and -n {NAMESPACE}")\n',
        "        pass\n",
        (_NOBODY,),
    ),
    Mutant(
        "a signature for something else than a command proves none",
        "administration/staff.py",
        "if not any(found.namespace == NAMESPACE and found.present for found in held):",
        "if not any(found.present for found in held):",
        (_NOBODY,),
    ),
    Mutant(
        "a name that nobody of the staff has runs no command",
        "administration/staff.py",
        "    if found is None:\n        text =",
        "    if found is None:\n        return next(iter(staff))\n        text =",
        (_NOBODY,),
    ),
    Mutant(
        "a service's key proves its own commands alone",
        "administration/staff.py",
        "if found.commands and command not in found.commands:",
        "if False:",
        (f"{_PROVING}::test_a_service_proves_its_own_commands_and_no_other",),
    ),
    Mutant(
        "who was refused is in the operator's log",
        "cli/proving.py",
        "        run(_record(config, act, refused.fault))\n",
        "",
        (_NOBODY,),
    ),
    Mutant(
        "a key proves one person",
        "config/staff.py",
        '        yield "staff", "has a key twice: each belongs to one person"\n',
        "        pass\n",
        (f"{_PROVING}::test_keys_that_would_prove_too_much_or_nothing_are_refused",),
    ),
    Mutant(
        "who looks for a transfer opens no other organisation under their name",
        "administration/queue.py",
        "                async with finder.open(organisation, Purpose.OPERATE) as vault:\n"
        "                    known = await vault.has_transfer(identifier)\n",
        "                async with self._gate.operate(self._principal, organisation) as desk:\n"
        "                    known = await desk.history(identifier) is not None\n",
        (f"{_PROVING}::test_a_transfer_and_why_it_was_looked_for_is_in_its_own_organisations_log_alone",),
    ),
    Mutant(
        "who is reported stands in no log of those to whom they did nothing",
        "administration/peers.py",
        "self._refused(self._proof.elsewhere(), limit)",
        "self._refused(self._proof, limit)",
        (f"{_PROVING}::test_a_peer_that_is_reported_is_named_in_the_logs_of_those_it_wrote_to_alone",),
    ),
    Mutant(
        "a passphrase that nobody has looked at yet proves no name",
        "cli/persons.py",
        'one_line("--reason", reason), login())\n\n\ndef login',
        'one_line("--reason", reason), login(), Proof(ProofKind.PASSPHRASE))\n\n\ndef login',
        (
            "tests/unit/cli/test_mailbox_commands.py"
            "::test_a_custodian_who_is_named_is_proven_by_the_passphrase_and_not_before",
        ),
    ),
    Mutant(
        "what decides what a command does is signed",
        "cli/proving.py",
        '        if name not in left_out and value not in (None, "", (), [], defaults.get(name))\n',
        '        if name in ("organisation", "reason", "why") and value\n',
        (f"{_PROVING}::test_each_parameter_that_decides_what_is_done_is_signed",),
    ),
    Mutant(
        "no signature proves two runs",
        "administration/staff.py",
        "nonce: str = field(default_factory=lambda: secrets.token_hex(16))",
        'nonce: str = "0"',
        (f"{_PROVING}::test_no_two_runs_of_a_command_have_the_same_text",),
    ),
    Mutant(
        "what is signed has no name of a person",
        "administration/staff.py",
        "for name in PRIVATE & parameters.keys():",
        "for name in ():",
        (f"{_PROVING}::test_what_is_long_or_of_persons_is_signed_by_its_digest_with_the_nonce",),
    ),
    Mutant(
        "a command in two installations is proven in each",
        "cli/proving.py",
        "            proven(member(other.staff, act.by, act.command), text, signature)\n",
        "            pass\n",
        (f"{_PROVING}::test_a_command_in_two_installations_is_proven_in_each_or_refused",),
    ),
    Mutant(
        "nobody is proven by names that others can write",
        "cli/proving.py",
        "if config.staff and file.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):",
        "if False:",
        (f"{_PROVING}::test_nobody_is_proven_by_names_that_others_can_write",),
    ),
    Mutant(
        "who gives logins new passwords is in the operator's log",
        "cli/database.py",
        '        await provisioner.operator_log(who.entry("database rotate-logins", **about))\n',
        "",
        (f"{_PROVING}::test_who_gives_the_logins_of_an_organisation_new_passwords_is_in_the_operators_log",),
    ),
    Mutant(
        "who has the isolation check run is proven",
        "cli/isolation.py",
        "loaded, who = load(config), acting(by)",
        "loaded, who = load(config), type('Unproven', (), {'name': by, 'facts': lambda _: {'proof': ''}})()",
        (f"{_PROVING}::test_who_has_the_isolation_check_run_is_proven_also_where_it_is_a_timer",),
    ),
    Mutant(
        "the content of a file that is read is signed",
        "cli/proving.py",
        'contents = {name: " ".join(map(_digest, some)) for name, some in files.items()}',
        "contents = dict[str, str]()",
        (_EXCHANGED,),
    ),
    Mutant(
        "a file that was exchanged while it was signed is refused",
        "cli/proving.py",
        "                _require_same(each)\n",
        "                pass\n",
        (_EXCHANGED,),
    ),
    Mutant(
        "a file is the same each time that a run reads it",
        "cli/inputs.py",
        "    if _kept().setdefault(file.absolute(), digest) != digest:\n",
        "    if _kept().setdefault(file.absolute(), digest) is None:\n",
        (f"{_FILES}::test_a_file_that_is_read_twice_is_the_same_or_refused",),
    ),
    Mutant(
        "a backup that is read is the one that was signed for",
        "cli/backup.py",
        "    if found.sha256 != digest:\n",
        "    if False:\n",
        (f"{_FILES}::test_a_backup_that_is_exchanged_for_an_older_one_after_signing_is_not_put_back",),
    ),
    Mutant(
        "an export that is imported is the one that was signed for",
        "cli/org/moving.py",
        "known_digest(file)",
        "None",
        (f"{_FILES}::test_an_export_is_taken_in_as_the_file_that_was_signed_for",),
    ),
    Mutant(
        "the file of an export is compared with its digest before anything is stored",
        "portability/checking.py",
        "decrypting(file, keys, file_digest) as source",
        "decrypting(file, keys) as source",
        (f"{_HOSTILE}::test_an_export_that_is_not_the_file_that_was_signed_for_is_not_taken_in",),
    ),
    Mutant(
        "a file that is decrypted is the one that is named, to its end",
        "attestation/agefile.py",
        "if summed.whole() != named:",
        "if False:",
        (f"{_FILES}::test_a_file_that_is_decrypted_is_the_one_whose_digest_is_named",),
    ),
    Mutant(
        "who prepares what another signs is proven",
        "cli/persons.py",
        "    who = acting(by)\n    return Asked(who.name, reason_given, login(), who.proof)\n",
        "    return Asked(by or login(), reason_given, login())\n",
        (
            f"{_PREPARING}::test_nobody_prepares_a_statement_in_the_name_of_another_or_without_one",
            f"{_PREPARING}::test_who_prepares_a_statement_for_an_officer_has_signed_that_and_ssh_keygen_verifies_it",
        ),
    ),
    Mutant(
        "who prepares a decision about a log for officers is in that log",
        "cli/logrunning.py",
        "            if preparer is not None:\n",
        "            if False:\n",
        (
            "tests/unit/cli/test_log_commands.py"
            "::test_two_of_the_organisations_own_people_decide_about_a_refusal",
        ),
    ),
    Mutant(
        "whom a statement is prepared for is signed",
        "cli/proving.py",
        'else UNSIGNED - {"by"} | {_PREPARER}',
        "else UNSIGNED | {_PREPARER}",
        (f"{_PROVING}::test_each_parameter_that_decides_what_is_done_is_signed",),
    ),
    Mutant(
        "a key for which anyone can sign is nobody's",
        "wire/crypto/sshsig.py",
        '        raise ValueError("the key is a point of small order, for which anyone can sign")\n',
        "        pass\n",
        ("tests/unit/wire/crypto/test_sshsig.py::test_a_key_for_which_anybody_can_sign_is_refused",),
    ),
    Mutant(
        "who does something with the operator's own keys is recorded",
        "cli/keys.py",
        "        run(_recorded(settings, store, entry))\n",
        "        pass\n",
        (
            "tests/unit/cli/test_proving.py"
            "::test_who_retires_a_key_of_the_operators_own_is_in_its_log_and_nothing_is_done_for_anyone_else",
        ),
    ),
    Mutant(
        "who changes by what a vault opens is recorded",
        "cli/org/locking.py",
        '            facts = {"by": "operator" if new is None else "officer", **who.facts()}\n',
        '            facts = {"by": "operator" if new is None else "officer"}\n',
        (
            "tests/unit/cli/test_proving.py"
            "::test_who_changes_by_whose_passphrase_vaults_open_is_in_the_organisations_log",
        ),
    ),
    Mutant(
        "who unlocks is recorded",
        "installation/unlocking.py",
        "RunEvent.VAULT_UNLOCKED, who, [one.role]",
        "RunEvent.VAULT_UNLOCKED, {}, [one.role]",
        ("tests/unit/installation/test_unlocking.py::test_the_log_has_who_unlocked_and_what_proves_it",),
    ),
)
