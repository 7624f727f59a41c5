"""Mutants that remove guards of backups and restores."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_BACKUP = "tests/unit/operations/test_backup.py"
_RESTORE = "tests/unit/operations/test_restore.py"


def _without(guard: str, file: str, text: str, test: str, instead: str = "") -> Mutant:
    return Mutant(f"backup: {guard}", file, text, instead, (test,))


BACKUPS = (
    _without(
        "this installation has signed it",
        "operations/backupset.py",
        "    if signer not in signers:\n",
        f"{_BACKUP}::test_a_backup_that_another_installation_signed_is_refused",
        "    if not signers:\n",
    ),
    _without(
        "each file is the one that was signed, before any of it is stored",
        "operations/backupset.py",
        "        if found != (file.bytes, file.sha256):\n",
        f"{_BACKUP}::test_a_file_that_somebody_has_encrypted_again_is_refused_before_any_of_it_is_stored",
        "        if not found:\n",
    ),
    _without(
        "each file is still the one that was signed while it is read",
        "operations/backupset.py",
        "decrypting(path, keys, file.sha256) as source",
        f"{_BACKUP}::test_a_file_that_is_replaced_between_its_check_and_its_reading_is_refused",
        "decrypting(path, keys) as source",
    ),
    _without(
        "what is inside is what was written",
        "operations/backupformat.py",
        "if self._member is not None or contents != Contents(self._tables, self._bodies.value):",
        f"{_BACKUP}::test_what_is_changed_inside_is_refused_without_the_list_as_well",
        "if self._member is not None:",
    ),
    _without(
        "a snapshot whose bodies are removed is taken again",
        "operations/backup.py",
        "                whole = False\n",
        f"{_BACKUP}::test_a_body_that_goes_while_it_is_copied_goes_with_its_row",
    ),
    _without(
        "an organisation that goes away at the end costs nobody the backup",
        "operations/backup.py",
        "            if organisation is None:\n",
        f"{_BACKUP}::test_an_organisation_that_goes_away_at_the_end_does_not_cost_the_others_their_backup",
        "            if True:\n",
    ),
    _without(
        "an empty object is lost",
        "operations/backupformat.py",
        "        return there and number > 0\n",
        f"{_BACKUP}::test_an_empty_object_is_a_lost_body",
        "        return there\n",
    ),
    _without(
        "a file that cannot be drilled does not keep the others from it",
        "operations/drill.py",
        "            if only is not None:\n",
        f"{_BACKUP}::test_a_file_that_cannot_be_drilled_does_not_keep_the_others_from_it",
        "            if True:\n",
    ),
    _without(
        "a drill compares the logs that the backup has",
        "operations/drill.py",
        "[each for each in vaults if each.role.value in held]",
        f"{_BACKUP}::test_a_backup_from_before_a_role_was_added_is_drilled",
        "list(vaults)",
    ),
    _without(
        "rows of a newer program are refused",
        "vault/portability/copies.py",
        "    if unknown or newer or versions.get(migrations.FORM_ROW, 0) > migrations.FORM:\n",
        f"{_BACKUP}::test_rows_of_a_newer_program_are_refused",
        "    if unknown and newer:\n",
    ),
    _without(
        "the vaults are those that the organisation has",
        "operations/restore.py",
        "    if found != {role: each.vault for role, each in vaults.items()}:\n",
        f"{_RESTORE}::test_a_backup_of_other_vaults_is_refused",
        "    if not found:\n",
    ),
    _without(
        "no more bodies are lacking than the object store had lost",
        "operations/restoring.py",
        "same=not absent or lost >= 0)\n",
        f"{_RESTORE}::test_a_backup_that_lacks_more_bodies_than_its_list_says_is_refused",
        "same=True)\n",
    ),
    _without(
        "what waited is not sent again",
        "vault/portability/unsent.py",
        "        found = await _ended(connection, role, sql.Identifier(schema), why, now)\n",
        f"{_RESTORE}::test_what_waited_is_not_sent_again_and_each_is_listed",
        "        found: list[Unsent] = []\n",
    ),
    _without(
        "an organisation is suspended before its bodies are stored",
        "operations/restore.py",
        "        _suspended(installation.provisioner, organisation, name),\n",
        f"{_RESTORE}::test_an_organisation_is_suspended_before_its_bodies_are_stored",
    ),
    _without(
        "a body that is removed during a restore is reported",
        "operations/restoring.py",
        "        return {role: count for role, count in found.items() if count}\n",
        f"{_RESTORE}::test_a_body_that_is_removed_during_a_restore_is_reported_as_lost",
        "        return {}\n",
    ),
    _without(
        "an organisation goes on after a restore that fails",
        "operations/restore.py",
        "            await resume(provisioner, active, filled)\n",
        f"{_RESTORE}::test_after_a_restore_that_fails_only_those_vaults_are_suspended_that_were",
        "            pass\n",
    ),
    _without(
        "a vault that was suspended before a restore that fails stays suspended",
        "vault/portability/replacing.py",
        "WHERE organisation = %s AND state = 'active'\n",
        f"{_RESTORE}::test_after_a_restore_that_fails_only_those_vaults_are_suspended_that_were",
        "WHERE organisation = %s\n",
    ),
    _without(
        "an organisation that has the restored database is not resumed",
        "vault/portability/replacing.py",
        "AND EXISTS (SELECT FROM pg_database WHERE datname = %s)\n",
        f"{_RESTORE}::test_a_failure_after_the_switch_resumes_nothing",
        "AND %s <> ''\n",
    ),
    _without(
        "an organisation that is put back is suspended",
        "vault/portability/replacing.py",
        "                state = RegistrationState.SUSPENDED.value\n",
        f"{_RESTORE}::test_it_is_suspended_until_people_resume_it",
        "                state = RegistrationState.ACTIVE.value\n",
    ),
    _without(
        "organisations that the backup lacks are named when everything is restored",
        "cli/backup.py",
        "            failed += [(each.organisation, _lacking(each)) for each in backup.manifest.missing]\n",
        "tests/unit/cli/test_backup.py::"
        "test_an_organisation_that_the_backup_lacks_is_named_when_everything_is_put_back",
        "            pass\n",
    ),
    _without(
        "a refused restore lets all logins in again",
        "vault/portability/replacing.py",
        """            try:
                for each in vaults:
                    await logins.shut_out(registry, each.login)
""",
        f"{_RESTORE}::test_a_restore_that_cannot_end_a_session_leaves_the_organisation_as_it_was",
        """            for each in vaults:
                await logins.shut_out(registry, each.login)
            try:
""",
    ),
    _without(
        "the registry goes into an empty installation alone",
        "operations/restore.py",
        "    if await provisioner.registrations():\n",
        f"{_RESTORE}::test_everything_is_put_back_into_an_empty_installation",
        "    if False:\n",
    ),
)
