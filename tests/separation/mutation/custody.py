"""Mutants that remove guards of dual control, and guards against data that a worker leaves behind."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_CUSTODY = "tests/unit/keystore/test_custody.py"
_DUAL = "tests/unit/administration/test_dualcontrol.py"
_HSM_LOG_KEYS = "tests/unit/keystore/hsm/test_logkeys.py"
_COMMANDS = "tests/unit/cli/test_org_commands.py"
_CGROUPS = "tests/unit/processes/test_cgroups.py"
_OBJECTS = "tests/unit/vault/test_objects.py"

CUSTODY = (
    Mutant(
        "two custodians agree to the key of the third, by its fingerprint",
        "administration/custodians.py",
        ", with the key that has the fingerprint {key.fingerprint}",
        "",
        (
            f"{_DUAL}::test_the_asker_who_types_the_passphrase_of_a_third_makes_another_key_than_the_one_agreed_to",
        ),
    ),
    Mutant(
        "removals of custodians take turns",
        "keystore/custody.py",
        "            fcntl.flock(descriptor, fcntl.LOCK_EX)\n",
        "            pass\n",
        (
            f"{_CUSTODY}::test_a_removal_waits_while_another_one_is_judged",
            f"{_CUSTODY}::test_two_processes_that_remove_at_once_leave_two",
        ),
    ),
    Mutant(
        "nobody becomes a custodian alone once there were two",
        "administration/custodians.py",
        "elif custodians.damaged() or await _were_two(installation):",
        "elif custodians.damaged():",
        (f"{_DUAL}::test_nobody_is_added_alone_once_there_were_two",),
    ),
    Mutant(
        "a restart of custodians reaches all other logs while one vault is out of reach",
        "administration/administration.py",
        "    except VaultError:\n        written = False",
        "    except ZeroDivisionError:\n        written = False",
        (f"{_DUAL}::test_a_restart_is_in_all_other_logs_while_the_keys_of_one_organisation_are_away",),
    ),
    Mutant(
        "a custodian's key makes no second person",
        "keystore/custody.py",
        "if self.key(name).public == key.public:",
        "if False:",
        (f"{_CUSTODY}::test_another_custodians_key_makes_no_second_person",),
    ),
    Mutant(
        "a request from the future is none",
        "keystore/requests.py",
        "            if request is None or request.at > now:\n",
        "            if request is None:\n",
        (f"{_CUSTODY}::test_a_request_from_the_future_or_older_than_a_day_is_none",),
    ),
    Mutant(
        "a request without a time zone stops nobody",
        "keystore/requests.py",
        "request.at.utcoffset() is None or ",
        "",
        (f"{_CUSTODY}::test_a_malformed_file_stops_nobody_and_is_named",),
    ),
    Mutant(
        "a passphrase that repeats itself is refused",
        "keystore/custody.py",
        "    if _unpredictable(_period(text)) < _UNPREDICTABLE:\n",
        "    if False:\n",
        (f"{_CUSTODY}::test_a_passphrase_that_everybody_would_try_is_refused_with_the_reason",),
    ),
    Mutant(
        "a passphrase of obvious words is refused",
        "keystore/custody.py",
        "    if left < _UNPREDICTABLE:\n",
        "    if False:\n",
        (f"{_CUSTODY}::test_a_passphrase_that_everybody_would_try_is_refused_with_the_reason",),
    ),
    Mutant(
        "a new custodian's passphrase costs more to guess",
        "keystore/custody.py",
        "self._cost = cost or PERSONS_COST",
        "self._cost = cost or ScryptCost()",
        (f"{_CUSTODY}::test_a_new_key_costs_more_and_an_old_one_keeps_its_own",),
    ),
    Mutant(
        "only a key backup that two custodians signed is restored",
        "cli/org/keybackup.py",
        "if not signed_by(data, Custodians(loaded.vaults.secrets)):",
        "if False:",
        (f"{_COMMANDS}::test_only_a_backup_that_two_custodians_signed_is_restored",),
    ),
    Mutant(
        "two custodians accept that marks are lost",
        "cli/org/keybackup.py",
        "        await two_persons(place.installation, matter, persons)\n",
        "",
        (f"{_COMMANDS}::test_marks_that_a_restore_has_lost_are_shown_and_two_custodians_accept_them",),
    ),
    Mutant(
        "custodians begin again only where fewer than two are left",
        "administration/custodians.py",
        '        if len(able) >= NEEDED:\n            text = f"{len(able)} custodians can',
        '        if False:\n            text = f"{len(able)} custodians can',
        (f"{_DUAL}::test_a_restart_is_in_every_log_and_begins_without_custodians",),
    ),
    Mutant(
        "an object is read over no link",
        "vault/objects.py",
        "_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC",
        "_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC",
        (
            f"{_OBJECTS}::test_what_a_vaults_process_planted_among_its_objects_is_neither_followed_nor_waited_for",
        ),
    ),
    Mutant(
        "only a regular file is an object",
        "vault/objects.py",
        "if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:",
        "if False:",
        (
            f"{_OBJECTS}::test_what_a_vaults_process_planted_among_its_objects_is_neither_followed_nor_waited_for",
        ),
    ),
    Mutant(
        "a PIN file that others can read is not used",
        "keystore/hsm/module.py",
        "self._read = read_private if owner_only else Path.read_bytes",
        "self._read = Path.read_bytes",
        ("tests/unit/keystore/hsm/test_module.py::test_a_pin_that_others_can_read_is_not_used",),
    ),
    Mutant(
        "a key of a log that its HSM would give away is not used",
        "keystore/hsm/objects.py",
        "        _require_stays(private, public)\n        try:\n            found = _edwards_point",
        "        try:\n            found = _edwards_point",
        (f"{_HSM_LOG_KEYS}::test_a_token_that_would_give_a_logs_key_away_is_not_used",),
    ),
    Mutant(
        "a key of a log whose signature does not verify is not used",
        "keystore/hsm/objects.py",
        "            found.verify(_log_signed(private, _TRIAL), _TRIAL)\n",
        "",
        (f"{_HSM_LOG_KEYS}::test_a_key_whose_signature_does_not_verify_is_not_used",),
    ),
    Mutant(
        "where an HSM makes keys of logs, none is made in a file",
        "keystore/hsm/store.py",
        "if self.log_key_place(vault) in (LogKeyPlace.HSM, LogKeyPlace.MOVABLE):",
        "if False:",
        (
            f"{_HSM_LOG_KEYS}::test_the_log_of_an_organisation_with_a_token_is_signed_there",
            f"{_HSM_LOG_KEYS}::test_a_log_is_not_signed_while_its_token_is_away_and_no_key_comes_in_its_place",
        ),
    ),
    Mutant(
        "a log whose key is in an HSM that is away is a dependency that is gone",
        "installation/logkeeping.py",
        "except (SigningStopped, HsmUnavailable) as fault:",
        "except SigningStopped as fault:",
        (
            "tests/unit/installation/test_logkeeping.py"
            "::test_a_log_whose_key_is_in_an_hsm_that_is_away_is_not_silently_unsigned",
        ),
    ),
    Mutant(
        "what runs as the user of a locked organisation is ended also without a supervisor",
        "cli/org/locking.py",
        "        await end_left_behind(config, installation.gate.registry, organisation)\n",
        "",
        (f"{_COMMANDS}::test_what_still_runs_as_the_organisations_user_is_ended_where_no_supervisor_runs",),
    ),
    Mutant(
        "what runs as the user of a closed organisation is ended also without a supervisor",
        "cli/org/closing.py",
        "        await end_left_behind(config, installation.gate.registry, order.organisation)\n",
        "",
        (f"{_COMMANDS}::test_what_still_runs_as_the_organisations_user_is_ended_where_no_supervisor_runs",),
    ),
    Mutant(
        "what a process started ends with it, by its control group",
        "processes/child.py",
        "            self._group.take(process.pid)\n",
        "            pass\n",
        (f"{_CGROUPS}::test_what_a_process_started_ends_with_it",),
    ),
    Mutant(
        "what a killed supervisor left in control groups is told from other installations'",
        "processes/cgroups.py",
        'glob(f"{self._prefix}*/")',
        'glob("samdrift-*/")',
        (f"{_CGROUPS}::test_what_a_killed_supervisor_left_is_ended_by_the_next_one_and_nothing_of_others",),
    ),
    Mutant(
        "a process that has ended is noticed though its channel is held open",
        "processes/child.py",
        "while not hung_up.done() and self._process.poll() is None:",
        "while not hung_up.done():",
        (
            "tests/unit/processes/test_child.py"
            "::test_one_that_ended_is_noticed_though_what_it_started_holds_its_channel",
        ),
    ),
)
