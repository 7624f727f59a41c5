"""The guards of a log: who chooses what of an entry, and what leaves one."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_SALTED = "tests/unit/vault/test_saltedlog.py"
_LEAVES = "tests/unit/audit/test_leaves.py"
_COMMANDS = "tests/unit/cli/test_log_commands.py"
_TOKENS = "tests/unit/messageservice/oauth/test_access_tokens.py"
_CLOSING = "tests/unit/administration/test_closing.py"
_GATE = "tests/unit/vault/test_gate.py"
_SQL = "vault/sql/salted-log-1.sql"

LOGS = (
    Mutant(
        "an append that waited for the upgrade writes a leaf",
        _SQL,
        "WHEN (NEW.retention IS NULL)",
        "WHEN (false)",
        (f"{_SALTED}::test_an_append_that_waited_for_the_upgrade_is_in_the_second_form",),
    ),
    Mutant(
        "the salt of a leaf is random in every byte",
        _SQL,
        "        salt := substring(sha256(uuid_send(gen_random_uuid()) ||"
        " uuid_send(gen_random_uuid())) FOR 16);",
        "        salt := uuid_send(gen_random_uuid());",
        (f"{_SALTED}::test_salts_are_random_and_commitments_are_to_salt_and_facts",),
    ),
    Mutant(
        "the class of an entry is the database's",
        _SQL,
        "                _retention(event), salt);",
        "                ends[i], salt);",
        (f"{_SALTED}::test_the_vaults_own_login_chooses_nothing_of_an_entry",),
    ),
    Mutant(
        "the vault's login begins no tree",
        "vault/database/migrations.py",
        "AND NOT starts_with(proname, '_')",
        "AND NOT starts_with(proname, '__')",
        (f"{_SALTED}::test_the_vaults_own_login_chooses_nothing_of_an_entry",),
    ),
    Mutant(
        "the first leaf names the chain before it",
        "audit/chain.py",
        "and entry.ids == named",
        "and bool(named)",
        (f"{_LEAVES}::test_what_was_changed_is_found_at_its_place",),
    ),
    Mutant(
        "a leaf's facts are those that it commits to",
        "audit/chain.py",
        "if isinstance(entry, LogEntry) and commitment(",
        "if False and commitment(",
        (f"{_LEAVES}::test_what_was_changed_is_found_at_its_place",),
    ),
    Mutant(
        "after the first leaf there is no entry of the chain",
        "audit/chain.py",
        "or self.tree is not None or entry.previous != self._chain.hash",
        "or entry.previous != self._chain.hash",
        (f"{_LEAVES}::test_what_was_changed_is_found_at_its_place",),
    ),
    Mutant(
        "what a worker sees is in the log although it records nothing",
        "vault/work.py",
        "        self._used = True\n        return await self.look(sql, *values)",
        "        return await self.look(sql, *values)",
        (f"{_GATE}::test_what_a_worker_sees_is_logged_although_it_records_nothing",),
    ),
    Mutant(
        "a client that finds nothing leaves an entry all the same",
        "vault/opening.py",
        "return self.principal.kind is PrincipalKind.WORKER or self.purpose is Purpose.DELIVER",
        "return True",
        (f"{_GATE}::test_a_worker_that_finds_nothing_to_do_leaves_no_entry",),
    ),
    Mutant(
        "a command about an organisation's logs is recorded in them",
        "administration/administration.py",
        "    hosted = [role for role in roles if gate.registry.find(organisation, role) is not None]",
        "    hosted: list[Role] = []",
        (f"{_COMMANDS}::test_who_runs_a_command_and_why_is_in_the_logs_that_it_is_about",),
    ),
    Mutant(
        "a command about a vault that waits for its officer is recorded in the operator's log",
        "administration/administration.py",
        "    if not all(written):",
        "    if False:",
        (
            f"{_COMMANDS}::"
            "test_who_runs_a_command_about_a_vault_that_waits_for_its_officer_is_in_the_operators_log",
        ),
    ),
    Mutant(
        "a system that says whom it acts for is named with that person",
        "messageservice/oauth/persons.py",
        '        if claims.actor() is None:\n            return ""\n',
        '        if claims.actor() is None or True:\n            return ""\n',
        (f"{_TOKENS}::test_a_token_that_names_who_acts_for_whom_names_a_person_by_a_random_id",),
    ),
    Mutant(
        "a subject without an actor is not a person",
        "messageservice/oauth/persons.py",
        "        if claims.actor() is None:\n",
        "        if False:\n",
        (f"{_TOKENS}::test_a_system_that_acts_for_itself_says_so",),
    ),
    Mutant(
        "a person that cannot be named opens nothing",
        "wire/jose/jwt.py",
        "        if not isinstance(subject, str) or not subject:\n"
        '            raise JwtInvalid("the claim act names nobody who acts")\n'
        "        return subject\n",
        "        return subject if isinstance(subject, str) else None\n",
        (f"{_TOKENS}::test_a_person_that_cannot_be_named_opens_nothing",),
    ),
    Mutant(
        "each entry names the system that a person acts through",
        "vault/opening.py",
        '{"through": self.principal.through} if self.principal.through else {}',
        "{}",
        (
            "tests/unit/messageservice/oauth/test_interface_d.py::"
            "test_a_reading_for_a_person_names_them_by_their_id_and_the_system_that_fetched",
        ),
    ),
    Mutant(
        "a closing whose logs cannot be kept goes no further",
        "administration/keptlogs.py",
        '            raise Unusable(f"the log of role {one.role.value} cannot be kept: {reason(error)}")'
        " from None",
        "            continue",
        (f"{_CLOSING}::test_a_log_that_cannot_be_kept_stops_the_closing",),
    ),
    Mutant(
        "a kept log that was changed shows",
        "administration/keptlogs.py",
        "return KeptState.THERE if _digest(file) == digest else KeptState.CHANGED",
        "return KeptState.THERE",
        (f"{_CLOSING}::test_a_kept_log_that_was_changed_or_is_gone_shows",),
    ),
    Mutant(
        "a kept log is removed after its time alone",
        "administration/keptlogs.py",
        "if one.state is KeptState.OVER and one.file is not None and one.file.is_file():",
        "if one.file is not None and one.file.is_file():",
        (f"{_CLOSING}::test_a_kept_log_is_removed_after_its_time_and_not_before",),
    ),
)
