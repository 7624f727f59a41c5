"""Mutants that remove guards of due times and of shared connections."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_WORKERS = "tests/separation/test_worker_registry.py"
_MOMENTS = "tests/unit/vault/test_moments.py"
_POOL = "tests/unit/vault/database/test_pool_sharing.py"
_ROUNDS = "tests/unit/scheduling/test_rounds.py"
_IN_ORDER_FILE = "tests/unit/vault/test_inorder.py"
_IN_ORDER = f"{_IN_ORDER_FILE}::test_what_is_not_in_order_is_found"
_MOVES = "tests/unit/vault/test_relocation.py"
_DATABASE = "tests/separation/test_database_denies.py"
_CLAIMS = "tests/unit/vault/test_claims.py"
_LEASES = "tests/unit/vault/test_leasing.py"
_LIVES = "tests/unit/installation/test_lives.py"
_WAKEUPS = "tests/unit/vault/test_wakeups.py"
_NOT_RESTARTED = "test_a_server_that_cannot_be_restarted_for_a_while_is_tried_again_and_heard_afterwards"
_SESSION = "tests/unit/vault/database/test_session.py"
_LAST_HOST = "test_the_host_that_was_asked_last_refuses_a_login_whatever_its_name_and_the_others_say"
_POSTGRES = "tests/unit/vault/database/test_postgres.py"

MOMENTS = (
    Mutant(
        "who gives up in the moment of being let open a connection lets the next one",
        "vault/database/pool.py",
        "                    line.hand(None)\n            raise\n",
        "                    pass\n            raise\n",
        (
            "tests/unit/vault/database/test_pool_sharing.py"
            "::test_who_gives_up_in_the_moment_of_being_let_open_a_connection_lets_the_next_one",
        ),
    ),
    Mutant(
        "claims of another process that lives are left to it",
        "vault/sql/accesspoint-claims-1.sql",
        "t.claimed_by = ANY (ended)",
        "t.claimed_by IS NOT NULL",
        (f"{_CLAIMS}::test_claims_of_a_process_that_lives_are_left_to_it",),
    ),
    Mutant(
        "a transfer that nobody has claimed does not wait for the hour of a clock that was ahead",
        "vault/sql/accesspoint-due-1.sql",
        "coalesce(claimed_until, least(at, clock_timestamp()))",
        "coalesce(claimed_until, at)",
        (f"{_CLAIMS}::test_what_nobody_has_claimed_while_a_clock_was_ahead_is_due_when_it_is_right_again",),
    ),
    Mutant(
        "a message service's claims of another process that lives are left to it",
        "vault/sql/messageservice-claims-1.sql",
        "WHERE w.claimed_by = ANY (ended)",
        "WHERE w.claimed_by IS NOT NULL",
        (f"{_CLAIMS}::test_work_of_a_message_service_is_taken_up_too",),
    ),
    Mutant(
        "a transfer that ends its processes time and again waits for its lease",
        "vault/sql/accesspoint-claims-1.sql",
        "most IS NULL OR coalesce(t.cut, 0) < most AS pardoned",
        "true AS pardoned",
        (
            f"{_CLAIMS}::test_invariant_8_a_transfer_that_ends_its_processes_waits_for_its_lease"
            "_and_its_attempts_count",
        ),
    ),
    Mutant(
        "a lease that has not ended is its process's",
        "vault/sql/lease-clocks-1.sql",
        "WHERE until <= moment OR",
        "WHERE process <> me OR",
        (
            f"{_LEASES}::test_leases_of_a_process_that_is_gone_are_taken_over_when_their_time_is_over",
            f"{_LEASES}::test_processes_share_evenly_and_nothing_is_two_processes_at_a_time",
        ),
    ),
    Mutant(
        "a process whose clock is wrong leaves its work to one whose clock is right",
        "vault/sql/lease-clocks-1.sql",
        "IF mine_apart AND EXISTS",
        "IF false AND EXISTS",
        (f"{_LEASES}::test_a_process_whose_clock_is_wrong_leaves_its_work_to_one_whose_clock_is_right",),
    ),
    Mutant(
        "work stops before its lease can be another process's",
        "vault/leasing.py",
        "began + self.times.lasts - self.times.margin",
        "began + self.times.lasts",
        (f"{_LEASES}::test_a_process_that_is_cut_off_stops_its_work_before_another_may_begin",),
    ),
    Mutant(
        "a lease is given back when nobody works under it any more",
        "vault/leasing.py",
        "await self.leases.leave(partitions)",
        "pass",
        (f"{_LEASES}::test_a_lease_is_given_to_another_process_only_when_the_work_under_it_has_ended",),
    ),
    Mutant(
        "a process whose file is locked lives",
        "installation/lives.py",
        "elif _is_locked(path):",
        "elif False:",
        (f"{_LIVES}::test_whoever_has_the_file_open_lives_and_has_ended_when_it_is_killed",),
    ),
    Mutant(
        "a worker reads the moment of its own vault and of no other",
        "vault/sql/worker-moments-1.sql",
        " AND r.reader = session_user",
        "",
        (f"{_WORKERS}::test_it_reads_when_something_is_due_in_its_own_vault_and_in_no_other",),
    ),
    Mutant(
        "a worker keeps the moment of its own vault and of no other",
        "vault/sql/worker-moments-2.sql",
        "\n    WHERE r.reader = session_user",
        "",
        (f"{_WORKERS}::test_it_keeps_when_something_is_due_in_its_own_vault_and_in_no_other",),
    ),
    Mutant(
        "of two moments the later one stays",
        "vault/sql/moments-2.sql",
        " AND m.number < kept.number",
        "",
        (f"{_MOMENTS}::test_of_two_moments_the_later_one_stays_whichever_comes_last",),
    ),
    Mutant(
        "a commit that was cut short is looked for in the vault",
        "vault/work.py",
        "                self._due(None)\n",
        "                pass\n",
        (f"{_MOMENTS}::test_a_commit_whose_answer_is_lost_is_looked_for_in_the_vault",),
    ),
    Mutant(
        "a start reads what was not sent",
        "vault/provision.py",
        "            await catch_up(self._connection, inside,"
        " [(each.vault, each.schema) for each in here])\n",
        "",
        (f"{_MOMENTS}::test_a_start_reads_from_the_vault_what_was_not_sent",),
    ),
    Mutant(
        "who changes what is due locks the moment before it looks",
        "vault/sql/moment-1.sql",
        "PERFORM FROM moment FOR NO KEY UPDATE",
        "PERFORM FROM moment",
        (f"{_MOMENTS}::test_who_commits_at_the_same_time_waits_and_then_looks",),
    ),
    Mutant(
        "nothing becomes due where no moment is kept",
        "vault/sql/moment-1.sql",
        "    IF NOT FOUND THEN\n        RAISE 'the vault has no moment' USING ERRCODE ="
        " 'object_not_in_prerequisite_state';\n    END IF;\n",
        "",
        (f"{_MOMENTS}::test_nothing_can_become_due_in_a_vault_without_a_moment",),
    ),
    Mutant(
        "a moment is kept with the transaction's last change",
        "vault/sql/messageservice-moment-1.sql",
        "DEFERRABLE INITIALLY DEFERRED",
        "DEFERRABLE INITIALLY IMMEDIATE",
        (f"{_MOMENTS}::test_a_moment_is_kept_at_the_very_end_of_a_transaction",),
    ),
    Mutant(
        "a suspended organisation is not said to have something due",
        "vault/gate.py",
        "for one in self.registry.all() if one.role is role and one.active\n",
        "for one in self.registry.all() if one.role is role\n",
        (f"{_MOMENTS}::test_one_that_is_suspended_is_not_named_and_keeps_its_moment",),
    ),
    Mutant(
        "a new database lets nobody in",
        "vault/databases.py",
        '        await logins.run(connection, "REVOKE ALL ON DATABASE {} FROM PUBLIC", name)\n',
        "",
        (f"{_DATABASE}::test_no_other_database_can_be_entered",),
    ),
    Mutant(
        "vaults' logins do not enter the registry's database",
        "vault/provision.py",
        "await rights.let_vaults_in(beside, self._database, let=False)",
        "await rights.let_vaults_in(beside, self._database, let=True)",
        (f"{_DATABASE}::test_no_other_database_can_be_entered",),
    ),
    Mutant(
        "a start takes away what a restored database lets everybody do",
        "vault/provision.py",
        "            await rights.close_databases(beside, {each.where for each in vaults}"
        " - {self._database.name})\n",
        "",
        (f"{_IN_ORDER_FILE}::test_what_a_restored_database_lets_everybody_do_is_taken_away",),
    ),
    Mutant(
        "a vault that is moved is compared with the original",
        "vault/relocation.py",
        "if left != arrived:",
        "if False:",
        (f"{_MOVES}::test_what_does_not_arrive_as_it_was_is_not_moved",),
    ),
    Mutant(
        "what a newer version made is not made again after an earlier one has run",
        "vault/database/migrations.py",
        "reached = max(present.get(part, 0), present.get(reached_by(part), 0))",
        "reached = present.get(part, 0)",
        (_IN_ORDER,),
    ),
    Mutant(
        "a move is in the operator's log",
        "vault/relocation.py",
        '    await append_log(registry, "registry", moved)\n',
        "",
        (f"{_MOVES}::test_each_move_is_in_the_operators_log_with_its_organisation",),
    ),
    Mutant(
        "nobody is let into a vault that is being moved",
        "vault/relocation.py",
        "        await logins.shut_out(connection, vault.login)\n",
        "        pass\n",
        (f"{_MOVES}::test_a_move_out_that_is_killed_goes_on",),
    ),
    Mutant(
        "rounds go to those that are served here alone",
        "scheduling/rounds.py",
        " if each in self._served]",
        "]",
        (f"{_ROUNDS}::test_who_is_not_served_is_not_named",),
    ),
    Mutant(
        "a busy vault keeps its connection",
        "vault/database/pool.py",
        "return None if patient and busy else session",
        "return session",
        (f"{_POOL}::test_what_was_used_just_now_is_not_taken_for_a_cold_vault",),
    ),
    Mutant(
        "a cold vault gets a connection although others are busy",
        "vault/database/pool.py",
        "if session.closed or self._closed or self._impatient:",
        "if session.closed or self._closed:",
        (f"{_POOL}::test_one_that_is_always_lent_is_given_up_for_a_cold_vault_when_it_comes_back",),
    ),
    Mutant(
        "few logins are opened at once",
        "vault/database/pool.py",
        "_LOGINS_AT_ONCE = 4",
        "_LOGINS_AT_ONCE = 400",
        (f"{_POOL}::test_few_logins_are_opened_at_once_and_each_vault_has_its_turn",),
    ),
    Mutant(
        "a right that everybody has got puts a vault out of order",
        "vault/inorder.py",
        "        ELSE format('{%%1$s=X/%%1$s,%%2$s=X/%%1$s}', h.owner, h.login) END\n",
        "        ELSE p.proacl::text END\n",
        (_IN_ORDER,),
    ),
    Mutant(
        "a setting that a login has given itself puts its vault out of order",
        "vault/inorder.py",
        'and settings.get(each.login) == [(True, wanted | {"search_path": each.schema})]',
        "and each.login in settings",
        (_IN_ORDER,),
    ),
    Mutant(
        "a process listens to the database again after any fault of a restart",
        "vault/wakeups.py",
        "        except Exception as error:\n            self._unexpected(error)\n",
        "",
        (f"{_WAKEUPS}::{_NOT_RESTARTED}",),
    ),
    Mutant(
        "a server that cannot be restarted is logged once",
        "vault/wakeups.py",
        "if self._failure != (why := for_operator(error)):",
        "if why := for_operator(error):",
        (f"{_WAKEUPS}::{_NOT_RESTARTED}",),
    ),
    Mutant(
        "a process listens to the database again after any fault while listening begins",
        "vault/wakeups.py",
        "            except Exception as error:\n                if not isinstance(error, VaultError):",
        "            except VaultError as error:\n                if not isinstance(error, VaultError):",
        (f"{_WAKEUPS}::test_a_fault_while_listening_begins_is_followed_by_another_attempt",),
    ),
    Mutant(
        "channels that could not be listened to are listened to at the next look",
        "vault/wakeups.py",
        "self._channels, self._rows = {}, None",
        "self._channels = {}",
        (f"{_WAKEUPS}::test_a_fault_while_listening_begins_is_followed_by_another_attempt",),
    ),
    Mutant(
        "a start of the embedded server on a full disk is a typed error",
        "vault/database/postgres.py",
        "            if isinstance(error, OSError):\n",
        "            if False:\n",
        (f"{_POSTGRES}::test_a_start_on_a_full_disk_is_a_typed_error_with_the_reason",),
    ),
    Mutant(
        "a start of the embedded server that failed leaves no lock behind",
        "vault/database/postgres.py",
        "        except BaseException as error:\n            if new:\n",
        "        except BaseException as error:\n            if False:\n",
        (f"{_POSTGRES}::test_a_start_that_failed_leaves_no_lock_behind",),
    ),
    Mutant(
        "a process that cannot restart the embedded server still uses it",
        "vault/database/postgres.py",
        "        except BaseException as error:\n            if new:\n",
        "        except BaseException as error:\n            if True:\n",
        (f"{_POSTGRES}::test_a_server_that_cannot_be_restarted_is_still_in_use",),
    ),
    Mutant(
        "a notification is sent although another task has sent the moments that it came with",
        "vault/moments.py",
        "            if then:\n                await self._run(then)\n",
        "",
        (f"{_MOMENTS}::test_a_notification_whose_moments_another_task_sends_meanwhile_is_sent",),
    ),
    Mutant(
        "a server without a free connection does not count as one that refused a login",
        "vault/database/cluster.py",
        "if asked and not _known_cause(last)",
        "if asked",
        (
            f"{_SESSION}::test_a_server_without_a_free_connection_has_refused_no_login",
            f"{_SESSION}::test_a_database_that_does_not_exist_has_refused_no_login",
        ),
    ),
    Mutant(
        "the host that was asked last decides whether a login was refused",
        "vault/database/cluster.py",
        "if asked and not _known_cause(last)",
        "if asked and not _known_cause(str(error))",
        (f"{_SESSION}::{_LAST_HOST}",),
    ),
    Mutant(
        "the name of a host is no sign of why a login failed",
        "vault/database/cluster.py",
        '_NAMES.sub("", said).lower()',
        "said.lower()",
        (f"{_SESSION}::{_LAST_HOST}",),
    ),
    Mutant(
        "what was held back for a connection that did not come is not left out of a commit",
        "vault/work.py",
        "            self._failure = error if isinstance(error, VaultError) else VaultUnavailable()\n",
        "",
        (
            "tests/unit/vault/test_expected.py"
            "::test_what_was_held_back_is_not_left_out_where_there_was_no_connection_for_it",
        ),
    ),
)
