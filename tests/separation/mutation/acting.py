"""The guards of who acts at the operator's command line, each as the mutant that lacks it."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_PROVING = "tests/unit/cli/test_proving.py"
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
        '        yield "staff", "has a key twice: each is one person\'s"\n',
        "        pass\n",
        (f"{_PROVING}::test_keys_that_would_prove_too_much_or_nothing_are_refused",),
    ),
    Mutant(
        "who looks for a transfer opens no other organisation under their name",
        "administration/queue.py",
        "            async with finder.open(organisation, Purpose.OPERATE) as vault:\n"
        "                known = await vault.has_transfer(identifier)\n",
        "            async with self._gate.operate(self._principal, organisation) as desk:\n"
        "                known = await desk.history(identifier) is not None\n",
        (f"{_PROVING}::test_a_transfer_and_why_it_was_looked_for_is_in_its_own_organisations_log_alone",),
    ),
    Mutant(
        "who is reported stands in no log of those to whom they did nothing",
        "administration/peers.py",
        "proof=self._proof.elsewhere()).refused(limit)",
        "proof=self._proof).refused(limit)",
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
        '        if name not in UNSIGNED and value not in (None, "", (), [], defaults.get(name))\n',
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
        "a key for which anybody can sign is nobody's",
        "wire/crypto/sshsig.py",
        '        raise ValueError("the key is a point of small order, for which anybody can sign")\n',
        "        pass\n",
        ("tests/unit/wire/crypto/test_sshsig.py::test_a_key_for_which_anybody_can_sign_is_refused",),
    ),
)
