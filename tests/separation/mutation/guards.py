"""Mutants that remove the guards between organisations.

A new guard gets a row here. Where either of two guards would suffice alone, the mutant removes both.
"""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_ACTORS = "tests/separation/test_every_actor.py"
_STRANGER = f"{_ACTORS}::test_a_stranger_opens_nothing_for_any_purpose"
_DATABASE = "tests/separation/test_database_denies.py"
_GATE = "tests/unit/vault/test_gate.py"
_SEALING = "tests/unit/vault/test_sealing.py"
_BODIES = "tests/unit/vault/test_bodies.py"
_UNLOCKING = "tests/unit/keystore/test_unlocking.py"
_POOL = "tests/unit/processes/test_pool.py"
_CONFINED = "tests/unit/keystore/test_confined.py"
_BACKED_UP = f"{_CONFINED}::test_a_backup_holds_nothing_of_another_vault_that_a_link_leads_to"
_OBJECTS = "tests/unit/vault/test_objects.py"
_UPLOADS = "tests/unit/vault/test_uploads.py"
_USERS = "tests/unit/processes/test_users.py"
_DESK = "tests/unit/vault/test_transferdesk.py"
_HOSTILE = "tests/unit/portability/test_hostile.py"
_QUEUE = "tests/separation/test_notify_queue.py"
_LOCKED_OUT = "tests/separation/test_locked_out.py"
_RESTORED = "tests/separation/test_restored.py"
_CAPTURED = "tests/roles/test_captured_envelopes.py"
_SESSION_KEYS = "tests/unit/vault/test_sessionkeys.py"
_STEPS = "tests/unit/messageservice/test_same_steps.py"
_WORKERS = "tests/separation/test_worker_registry.py"
_EARLIER = "tests/separation/test_earlier_copy.py"
_OPERATIONS = "tests/separation/test_every_operation.py"

GATE = (
    Mutant(
        "a worker of one organisation opens no other's vault",
        "vault/gate.py",
        "return principal.organisation in (None, organisation.value)",
        "return True",
        (_STRANGER,),
    ),
    Mutant(
        "a system or user opens the vaults of its own organisation alone",
        "vault/gate.py",
        "return principal.organisation == organisation.value\n",
        "return True\n",
        (_STRANGER,),
    ),
    Mutant(
        "the operator's staff opens no vault",
        "vault/gate.py",
        "        return principal.organisation == organisation.value\n    return False",
        "        return principal.organisation == organisation.value\n    return True",
        (_STRANGER,),
    ),
    Mutant(
        "nobody but the operator's staff stands at the desk",
        "vault/gate.py",
        "allowed = principal.kind is PrincipalKind.OPERATOR",
        "allowed = True",
        (f"{_ACTORS}::test_only_the_operators_staff_stands_at_the_desk",),
    ),
    Mutant(
        "a gate opens the roles that it was started for",
        "vault/gate.py",
        "if registration is None or role not in self._roles or not allowed:",
        "if registration is None or not allowed:",
        (f"{_GATE}::test_a_gate_that_was_started_for_one_role_opens_no_other",),
    ),
    Mutant(
        "an organisation's own systems and users do not move it",
        "vault/gate.py",
        "    if purpose in _OF_MOVES:\n        return False\n",
        "",
        (f"{_ACTORS}::test_only_a_worker_moves_an_organisation",),
    ),
    Mutant(
        "what arrives is of the organisation that was named",
        "portability/checking.py",
        "if statement.manifest.organisation != organisation.value:",
        "if False:",
        (f"{_HOSTILE}::test_an_export_of_another_organisation_than_the_named_one_is_refused",),
    ),
    Mutant(
        "what arrives sends for no other organisation",
        "portability/checking.py",
        'any(each.facts["sender"] != self._organisation for each in records)',
        "False",
        (f"{_HOSTILE}::test_what_was_changed_is_refused",),
    ),
    Mutant(
        "nothing arrives in a vault but while an arrival is under way",
        "vault/sql/arrival-1.sql",
        "    IF NOT FOUND THEN\n        RAISE 'nothing arrives here'",
        "    IF false THEN\n        RAISE 'nothing arrives here'",
        (
            "tests/unit/vault/portability/test_moving.py::test_nothing_arrives_before_it_begins_or_after_it_ended",
        ),
    ),
    Mutant(
        "a process for one organisation knows no other",
        "vault/registry.py",
        "if self._only is None or one.vault in self._only",
        "if True",
        (f"{_ACTORS}::test_the_gate_of_a_process_for_one_organisation_knows_no_other",),
    ),
    Mutant(
        "a suspended organisation's vault does not open",
        "vault/gate.py",
        "if not registration.opens_for(reason.purpose):",
        "if False:",
        (_GATE,),
    ),
    Mutant(
        "a suspended organisation is not served",
        "vault/registry.py",
        "return registration is not None and registration.active",
        "return registration is not None",
        (f"{_GATE}::test_a_suspended_organisation_waits_until_it_is_active_again",),
    ),
    Mutant(
        "a denial stands in the log of the organisation that was reached for",
        "vault/gate.py",
        "(await self._room(registration)).login, reason.happening(event, facts))\n"
        "                self.growth.committed(registration)\n        raise VaultDenied",
        "self._operator, reason.happening(event, facts))\n        raise VaultDenied",
        (_STRANGER,),
    ),
    Mutant(
        "a denial stands in the operator's log",
        "vault/gate.py",
        "        await self._append(self._operator, reason.happening(event, facts | asked))\n",
        "",
        (f"{_GATE}::test_others_are_denied_and_the_denial_is_logged",),
    ),
    Mutant(
        "a denial does not name the other organisation's people",
        "vault/gate.py",
        "if principal.organisation not in (None, organisation.value):",
        "if False:",
        (_STRANGER,),
    ),
    Mutant(
        "a denial does not name the other organisation",
        "vault/gate.py",
        "login, reason.happening(event, facts))\n"
        "                self.growth.committed(registration)\n        raise VaultDenied",
        "login, reason.happening(event, facts | asked))\n        raise VaultDenied",
        (f"{_GATE}::test_others_are_denied_and_the_denial_is_logged",),
    ),
    Mutant(
        "the desk shows no log but that of transfers",
        "vault/transferdesk.py",
        "find_log(status.envelope_id, event=_OF_TRANSFERS)",
        "find_log(status.envelope_id)",
        (f"{_DESK}::test_a_transfer_is_found_by_its_id_or_its_envelopes_with_all_that_was_tried",),
    ),
    Mutant(
        "the operator's staff gets the desk and not the vault",
        "vault/gate.py",
        "yield TransferDesk(vault)",
        "yield vault  # type: ignore[misc]",
        (f"{_OPERATIONS}::test_an_operation_reaches_nothing_of_another_organisation",),
    ),
)

DATABASE = (
    Mutant(
        "a vault's login alone may use its schema and read its tables",
        "vault/database/migrations.py",
        "GRANT USAGE ON SCHEMA {schema} TO {login};\n"
        "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {login}\n",
        "GRANT USAGE ON SCHEMA {schema} TO PUBLIC;\n"
        "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO PUBLIC\n",
        (f"{_DATABASE}::test_no_table_of_another_vault_can_be_touched",),
    ),
    Mutant(
        "a vault's login alone may run its functions",
        "vault/database/migrations.py",
        "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM PUBLIC, {login};\n"
        "GRANT USAGE ON SCHEMA {schema} TO {login};",
        "GRANT USAGE ON SCHEMA {schema} TO PUBLIC;",
        (f"{_DATABASE}::test_no_function_of_another_vault_can_be_run",),
    ),
    Mutant(
        "a vault's login changes nothing but by functions",
        "vault/database/migrations.py",
        "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {login}",
        "GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {login}",
        (f"{_DATABASE}::test_the_own_vault_can_be_read_and_changed_by_its_functions_alone",),
    ),
    Mutant(
        "functions for other functions are not for a login",
        "vault/database/migrations.py",
        " AND NOT starts_with(proname, '_')",
        "",
        (f"{_DATABASE}::test_the_own_vault_can_be_read_and_changed_by_its_functions_alone",),
    ),
    Mutant(
        "a login becomes nobody else",
        "vault/rights.py",
        "; GRANT {} TO {} WITH INHERIT TRUE, SET FALSE",
        "; GRANT {} TO {} WITH INHERIT TRUE, SET TRUE",
        (f"{_DATABASE}::test_nobody_else_can_be_become",),
    ),
    Mutant(
        "no catalog can be listed",
        "vault/sql/hardening.sql",
        "REVOKE SELECT ON ALL TABLES IN SCHEMA pg_catalog FROM PUBLIC;",
        "",
        (f"{_DATABASE}::test_no_catalog_can_be_listed",),
    ),
    Mutant(
        "functions of the server that tell of others are closed",
        "vault/sql/hardening.sql",
        "EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', name);",
        "NULL;",
        (f"{_DATABASE}::test_nothing_outside_of_the_vault_can_be_made_changed_or_asked",),
    ),
    Mutant(
        "a notification says nothing and its channel is not to be guessed",
        "vault/announcing.py",
        "SELECT pg_notify(channel, '') FROM",
        "SELECT pg_notify(channel, ''), pg_notify('wake', 'work') FROM",
        (f"{_WORKERS}::test_whoever_listens_on_a_guess_where_notifications_are_sent_hears_nothing",),
    ),
    Mutant(
        "what is stored does not depend on the queue of notifications",
        "vault/sql/wakeups-1.sql",
        "    PERFORM set_config",
        "    PERFORM pg_notify(channel, '') FROM log_head;\n    PERFORM set_config",
        (f"{_QUEUE}::test_a_full_queue_of_notifications_stops_nobody_also_after_the_attacker_has_gone",),
    ),
    Mutant(
        "the registry is read also when nobody tells that it changed",
        "vault/wakeups.py",
        "async with asyncio.timeout(_LOOK_SECONDS):",
        "async with asyncio.timeout(None):",
        (f"{_QUEUE}::test_an_organisation_that_is_added_meanwhile_is_served",),
    ),
    Mutant(
        "what could not be notified is notified later",
        "vault/announcing.py",
        "self._waiting |= channels",
        "self._waiting |= set()",
        (f"{_QUEUE}::test_what_was_not_notified_is_once_the_queue_moves",),
    ),
    Mutant(
        "a session of ours that holds the queue of notifications is ended",
        "vault/notifyqueue.py",
        "await self._end([pid for pid, login in holders if login in ours])",
        "await self._end([])",
        (f"{_QUEUE}::test_a_session_of_ours_that_holds_the_queue_is_ended_and_no_other",),
    ),
    Mutant(
        "a session of another system is named and not ended",
        "vault/notifyqueue.py",
        "await self._end([pid for pid, login in holders if login in ours])",
        "await self._end([pid for pid, _ in holders])",
        (f"{_QUEUE}::test_a_session_of_somebody_else_is_named_and_left_alone",),
    ),
    Mutant(
        "sessions of a login that was replaced are ended",
        "vault/logins.py",
        "if not await _rows(connection, _END, login):",
        "if True:",
        (f"{_LOCKED_OUT}::test_the_command_repairs_the_registrys_login_with_the_administrator_alone",),
    ),
    Mutant(
        "a new password comes with a new login",
        "vault/database/server.py",
        'f"samdrift registry login {password}"',
        '"samdrift registry login"',
        (f"{_LOCKED_OUT}::test_the_command_repairs_the_registrys_login_with_the_administrator_alone",),
    ),
    Mutant(
        "a login has its own settings again at each start",
        "vault/logins.py",
        "if known.keys() - wanted.keys():",
        "if not wanted:",
        (f"{_LOCKED_OUT}::test_settings_alone_are_put_right_at_the_next_start",),
    ),
    Mutant(
        "a login has no settings of its own for the database",
        "vault/logins.py",
        "for where in found.keys() - {None})",
        "for where in ())",
        (f"{_LOCKED_OUT}::test_settings_alone_are_put_right_at_the_next_start",),
    ),
    Mutant(
        "passwords change by the administrator's login alone",
        "cli/database.py",
        "        others = 0 if only",
        "        from samdrift.vault.gate import Gate\n"
        "        await Gate.start(vault_settings(config), keys=keys)\n        others = 0 if only",
        (f"{_LOCKED_OUT}::test_the_command_repairs_the_registrys_login_with_the_administrator_alone",),
    ),
    Mutant(
        "a worker reads of the registry where its own vault is and no other",
        "vault/sql/worker-databases-1.sql",
        " WHERE reader = session_user",
        "",
        (f"{_WORKERS}::test_it_reads_where_its_own_vault_is_and_of_no_other",),
    ),
    Mutant(
        "a worker reads no table of the registry itself",
        "vault/rights.py",
        "    await logins.bound(connection, login, WORKERS_REGISTRY, logins.OF_READER)\n",
        "    await logins.bound(connection, login, WORKERS_REGISTRY, logins.OF_READER)\n"
        '    await migrations.allow(connection, "registry", login)\n',
        (f"{_WORKERS}::test_it_reads_where_its_own_vault_is_and_of_no_other",),
    ),
    Mutant(
        "a worker's former login to the registry is dropped with its sessions",
        "vault/rights.py",
        "gone = [login for login in (*registries, *vaults, *workers) if login not in known]",
        "gone = [login for login in (*registries, *vaults) if login not in known]",
        (f"{_WORKERS}::test_what_it_does_to_its_own_login_stops_no_other",),
    ),
    Mutant(
        "a database that everybody may connect to is refused",
        "vault/rights.py",
        "return bool(found)",
        "return False",
        (f"{_RESTORED}::test_a_database_that_the_administrator_cannot_close_is_refused_in_words",),
    ),
    Mutant(
        "rights are put in order before anything is served",
        "installation/databasecare.py",
        "await provisioner.install()",
        "pass",
        (f"{_RESTORED}::test_serve_refuses_a_database_that_stays_open",),
    ),
    Mutant(
        "a queue of notifications that is full is a reason to come again",
        "vault/database/session.py",
        'full = error.diag.source_function == "PreCommit_Notify"',
        "full = False",
        (f"{_QUEUE}::test_a_commit_that_notifies_is_refused_for_now_and_not_for_good",),
    ),
)

AT_REST = (
    Mutant(
        "a data key is bound to its number",
        "keystore/vaultfiles.py",
        'return f"{_DATA_KEYS} {number}"',
        "return _DATA_KEYS",
        ("tests/unit/keystore/test_vaultfiles.py::test_a_data_key_opens_under_no_other_number",),
    ),
    Mutant(
        "a sealed value is bound to its vault",
        "vault/sealing.py",
        'return self._vault + b"\\0" + place.encode()',
        "return place.encode()",
        (f"{_SEALING}::test_a_sealed_value_opens_in_no_other_vault",),
    ),
    Mutant(
        "a sealed value is bound to its place",
        "vault/sealing.py",
        'return self._vault + b"\\0" + place.encode()',
        "return self._vault",
        (f"{_SEALING}::test_a_sealed_value_opens_in_no_other_place",),
    ),
    Mutant(
        "a mark is a vault's own",
        "vault/sealing.py",
        "hashlib.blake2b(value.encode(), key=self._marks, digest_size",
        "hashlib.blake2b(value.encode(), digest_size",
        (f"{_SEALING}::test_equal_values_are_sealed_differently_and_marked_alike_within_a_vault_only",),
    ),
    Mutant(
        "a body is bound to its vault and its id",
        "vault/bodies.py",
        'return self.sealer.context(f"body {body_id}")',
        'return b"body"',
        (f"{_BODIES}::test_a_body_opens_under_no_other_id_and_in_no_other_vault",),
    ),
    Mutant(
        "what is written after a lock is sealed with a data key that no earlier copy has",
        "keystore/vaultfiles.py",
        "        if data_key_numbers(self.folder):\n            self.add_data_key()\n",
        "",
        (f"{_EARLIER}::test_what_arrives_after_the_lock_opens_with_no_earlier_copy",),
    ),
    Mutant(
        "access tokens are signed with a key that no copy from before a lock has",
        "keystore/vaultfiles.py",
        "            if _TOKEN_KEY.fullmatch(name):\n                confined.remove(self.folder / name)",
        "            pass",
        (f"{_EARLIER}::test_what_arrives_after_the_lock_opens_with_no_earlier_copy",),
    ),
    Mutant(
        "a lock gives the vault another login of the database",
        "cli/org/locking.py",
        "            await installation.provisioner.rotate_login(organisation, one.role, rotated)\n",
        "",
        (f"{_EARLIER}::test_the_database_of_then_is_not_reached_either",),
    ),
    Mutant(
        "an object's name begins with its vault",
        "vault/bodies.py",
        'return f"{self.vault}/{body_id}"',
        "return body_id",
        (f"{_GATE}::test_a_sweep_removes_old_objects_that_no_row_knows", _BODIES),
    ),
    Mutant(
        "what opens one vault's secret is derived from its id, and its seal",
        "keystore/wrapping.py",
        'return HKDF(hashes.SHA256(), KEY_BYTES, seal, f"samdrift seal {vault}".encode()).derive(key)',
        'return HKDF(hashes.SHA256(), KEY_BYTES, b"", b"samdrift seal").derive(key[:0] + b"0" * 32)',
        (f"{_UNLOCKING}::test_the_key_of_one_vault_opens_no_other", _UNLOCKING),
    ),
    Mutant(
        "a process opens what it was handed and nothing else",
        "keystore/unlocking.py",
        "key = self._keys.get(vault)\n",
        "key = self._keys.get(vault, b'0' * 32)\n",
        (f"{_UNLOCKING}::test_a_process_opens_what_it_was_handed_and_nothing_else",),
    ),
    Mutant(
        "words that opened nothing are not kept for workers that start later",
        "processes/pool.py",
        '        if answer.get("unlocked"):\n',
        "        if True:\n",
        (f"{_POOL}::test_any_words_for_what_is_open_do_not_replace_those_that_opened_it",),
    ),
    Mutant(
        "no link in place of a key file is followed",
        "keystore/confined.py",
        "_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC\n",
        "_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC\n",
        (f"{_CONFINED}::test_a_folder_that_holds_a_link_gives_nobody_what_it_leads_to",),
    ),
    Mutant(
        "no link in place of a folder is followed",
        "keystore/confined.py",
        "os.open(name, _PASS | os.O_NOFOLLOW, dir_fd=above)",
        "os.open(name, _PASS, dir_fd=above)",
        (_BACKED_UP, f"{_USERS}::test_a_link_in_place_of_keys_is_an_error_of_that_vault"),
    ),
    Mutant(
        "no link among a vault's objects is followed",
        "vault/objects.py",
        "_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC\n",
        "_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC\n",
        (f"{_OBJECTS}::test_nothing_is_listed_or_removed_over_a_link",),
    ),
    Mutant(
        "an upload that a store lists of another vault is not aborted",
        "vault/uploads.py",
        "[each for each in listed if each.key.startswith(below)]",
        "listed",
        (f"{_UPLOADS}::test_old_uploads_of_one_vault_alone_are_aborted_whatever_the_store_lists",),
    ),
    Mutant(
        "an object is named by its vault's folder and one name in it",
        "vault/objects.py",
        'if "/" in file or file in ("", ".", ".."):',
        'if file in ("", ".", ".."):',
        (f"{_OBJECTS}::test_nothing_is_listed_or_removed_over_a_link",),
    ),
    Mutant(
        "an object is read from a regular file alone",
        "vault/objects.py",
        "if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:",
        "if False:",
        (f"{_OBJECTS}::test_nothing_is_read_over_a_link_or_but_from_a_file",),
    ),
    Mutant(
        "a key file has one name",
        "keystore/confined.py",
        "if found.st_nlink != 1:",
        "if False:",
        (_BACKED_UP,),
    ),
    Mutant(
        "a key file is a regular one",
        "keystore/confined.py",
        "if not stat.S_ISREG(found.st_mode):",
        "if False:",
        (f"{_CONFINED}::test_a_fifo_is_not_read_in_place_of_a_file",),
    ),
    Mutant(
        "a key file belongs to the owner of the key store",
        "keystore/confined.py",
        "if found.st_uid != owner:",
        "if False:",
        (f"{_CONFINED}::test_a_file_of_another_user_is_not_read",),
    ),
    Mutant(
        "a folder of keys belongs to the owner of the key store",
        "keystore/confined.py",
        "if os.fstat(descriptor).st_uid != owner:",
        "if False:",
        (f"{_CONFINED}::test_a_folder_of_another_user_is_not_entered",),
    ),
    Mutant(
        "a key file is of a bounded size",
        "keystore/confined.py",
        "MAX_BYTES = 256 << 10\n",
        "MAX_BYTES = 256 << 20\n",
        (f"{_CONFINED}::test_a_file_larger_than_any_key_is_not_read",),
    ),
    Mutant(
        "a backup of keys has files that the key store makes",
        "keystore/confined.py",
        "return names is not None and names.fullmatch(path.name) is not None",
        "return names is not None",
        (f"{_CONFINED}::test_only_files_that_the_key_store_makes_are_backed_up_and_restored",),
    ),
    Mutant(
        "a worker's user reads the keys of its vault and writes none",
        "keystore/confined.py",
        "        _give(vault, user, group, 0o750)\n",
        "        _give(vault, user, group, 0o770)\n",
        (f"{_USERS}::test_the_user_of_a_vault_reads_its_keys_writes_none_and_owns_its_objects",),
    ),
    Mutant(
        "a worker makes no keys",
        "keystore/unlocking.py",
        "    makes_keys = False\n",
        "    makes_keys = True\n",
        (f"{_UNLOCKING}::test_a_process_makes_no_keys_that_access_tokens_are_signed_with",),
    ),
    Mutant(
        "the number of a closed organisation's user is given to nobody else",
        "processes/users.py",
        "given = [int(each) for each in os.listdir(self._numbers()) if _NUMBER.fullmatch(each)]",
        "given = list[int](); [each.unlink() for each in self._numbers().iterdir()]",
        (f"{_USERS}::test_a_number_is_never_given_twice",),
    ),
    Mutant(
        "what a worker started ends with it",
        "processes/survivors.py",
        "    os.kill(-1, 9)\n",
        "    pass\n",
        (
            "tests/unit/processes/test_survivors.py::test_all_processes_of_a_user_are_ended_and_none_of_another",
        ),
    ),
    Mutant(
        "a worker's metrics are of a bounded size",
        "processes/metrics.py",
        "MAX_BYTES = 24 << 10\n",
        "MAX_BYTES = 4 << 20\n",
        ("tests/unit/processes/test_workers_metrics.py::test_an_answer_is_of_a_bounded_size",),
    ),
    Mutant(
        "a worker's metrics have names that we give",
        "processes/metrics.py",
        "if allowed is None or not labels.keys() <= allowed.labels or not math.isfinite(value):",
        "if allowed is not None and not math.isfinite(value):",
        (
            "tests/unit/processes/test_workers_metrics.py::test_what_no_worker_measures_of_itself_is_its_absence",
        ),
    ),
    Mutant(
        "a worker's metrics are of itself",
        "processes/metrics.py",
        'if any(labels.get(label, "") not in whose for label in ("organisation", "owner")):',
        "if False:",
        (
            "tests/unit/processes/test_workers_metrics.py::test_what_no_worker_measures_of_itself_is_its_absence",
        ),
    ),
    Mutant(
        "where hard links are not protected nothing starts",
        "config/isolation.py",
        '    if not protected:\n        text = "needs fs',
        '    if False:\n        text = "needs fs',
        ("tests/unit/config/test_isolation.py::test_where_hard_links_are_not_protected_nothing_starts",),
    ),
    Mutant(
        "a look that hangs at one vault's keys is that vault's alone",
        "processes/blocking.py",
        "await asyncio.wait(begun.values(), timeout=self._seconds)",
        "await asyncio.wait(begun.values())",
        ("tests/unit/processes/test_blocking.py::test_a_look_that_hangs_keeps_no_other_waiting",),
    ),
    Mutant(
        "a look that fails at one vault's keys is that vault's alone",
        "processes/blocking.py",
        "return future.result() if error is None else self._failed(name, error)",
        "return future.result()",
        ("tests/unit/processes/test_blocking.py::test_a_look_that_fails_is_that_things_alone",),
    ),
    Mutant(
        "the name of a vault for strangers cannot be guessed",
        "vault/registry.py",
        "return public_name(self.vault)",
        "return hashlib.sha256(self.organisation.value.encode()).hexdigest()[:32]",
        (
            "tests/unit/messageservice/oauth/test_token_endpoint.py"
            "::test_addresses_of_issuers_tell_nothing_and_cannot_be_guessed",
        ),
    ),
)

SESSION_KEYS = (
    Mutant(
        "a session key opens one envelope",
        "messageservice/incoming/judging.py",
        "opened = locked if claimed.claim is Claim.TAKEN else locked.denied(self._rng)",
        "opened = locked",
        (f"{_STEPS}::test_nothing_is_decrypted_with_a_key_that_opens_another_envelope",),
    ),
    Mutant(
        "a mark is of the session key as it was unwrapped",
        "vault/sealing.py",
        "hashlib.blake2b(session_key, key=by, digest_size",
        "hashlib.blake2b(random(32), key=by, digest_size",
        (f"{_SESSION_KEYS}::test_a_session_key_opens_its_own_envelope_as_often_as_it_comes_and_no_other",),
    ),
    Mutant(
        "a mark of a session key is made with a vault's own key",
        "vault/sealing.py",
        "hashlib.blake2b(session_key, key=by, digest_size",
        "hashlib.blake2b(session_key, digest_size",
        (f"{_SESSION_KEYS}::test_the_session_key_itself_is_nowhere",),
    ),
    Mutant(
        "a mark is durable whatever becomes of the opening",
        "vault/work.py",
        "            return (await session.run([(sql, values)]))[0]\n",
        "            return (await session.run([_BEGIN, (sql, values), _ROLLBACK]))[1]\n",
        (f"{_SESSION_KEYS}::test_a_mark_stays_whatever_becomes_of_the_opening",),
    ),
    Mutant(
        "a database that came back from a backup is known",
        "vault/sql/messageservice-6.sql",
        "ELSE EXISTS (SELECT FROM session_keys s WHERE s.mark = witness) END",
        "ELSE true END",
        (f"{_SESSION_KEYS}::test_a_restored_database_says_which_marks_are_lost",),
    ),
    Mutant(
        "without marks what means nothing is not answered",
        "messageservice/incoming/judging.py",
        "if claimed.doubted and judgement.meaningless:",
        "if False:",
        (f"{_STEPS}::test_without_marks_only_what_is_plainly_its_senders_is_answered",),
    ),
    Mutant(
        "padding that does not fit changes no step",
        "messageservice/incoming/judging.py",
        "        decrypted = locked.decrypt()\n",
        "        decrypted = locked.decrypt()\n        if not decrypted.sound:\n"
        "            return Unanswerable(header.id, _UNREADABLE, meaningless=True)\n",
        (f"{_STEPS}::test_every_failure_takes_the_same_steps",),
    ),
    Mutant(
        "nothing is told of a payload that does not name its envelope's id and sender",
        "messageservice/incoming/judging.py",
        "if foreign := rules.of_origin(sdkmessage.origin(root), header):",
        "if foreign := list[Finding]():",
        (f"{_CAPTURED}::test_one_session_key_opens_one_envelope_also_when_the_forged_one_comes_first",),
    ),
    Mutant(
        "no path has a name that the schema does not have",
        "wire/xml/schema.py",
        "            if one.tag not in self.names:\n                break\n",
        "",
        ("tests/unit/wire/xml/schema/test_check.py",),
    ),
    Mutant(
        "a sender's meaningless envelopes are limited",
        "vault/sql/messageservice-forgetting-1.sql",
        "AND r.first_at > since AND r.number >= most;",
        "AND false;",
        (f"{_SESSION_KEYS}::test_refusals_are_counted_for_each_sender_within_a_window",),
    ),
    Mutant(
        "a message receipt is never decrypted",
        "messageservice/incoming/judging.py",
        "    if header.encrypted:\n",
        "    if False:\n",
        (f"{_CAPTURED}::test_message_receipts_are_never_decrypted",),
    ),
)
"""The guards that keep a session key to one envelope (invariant 13)."""
