"""Mutants that remove guards of the operator's tools; without them, examinations would overlook faults."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_DISPATCH = "tests/unit/scheduling/test_dispatch.py"
_MAIL_SENDING = "tests/unit/messageclient/test_sending.py"
_DOCTOR = "tests/roles/test_doctor.py"
_READS = (
    "tests/unit/cli/test_no_key_store.py"
    "::test_a_command_that_reads_leaves_nothing_where_there_is_no_key_store"
)
_TURNS = "tests/unit/administration/test_turns.py"
_SETUP = "tests/unit/operations/test_setup.py"
_HEALTH = "tests/unit/installation/test_health.py"
_FORMS = "tests/unit/vault/test_forms.py"
_TIME = "tests/unit/installation/test_sharedtime.py"
_STANDBY = (
    "tests/unit/vault/database/test_hosts.py"
    "::test_a_standby_that_is_promoted_has_all_that_was_committed_and_takes_what_comes"
)
_CHECKLIST = "tests/unit/administration/test_checklist.py"
_TLS = "tests/unit/operations/test_tlsrules.py"

_IN_ORDER = (
    "tests/unit/vault/test_inorder.py::test_a_command_puts_vaults_in_order_where_no_start_of_its_version_has"
)

OPERATIONS = (
    Mutant(
        "a cancellation that the mail library loses ends the task all the same",
        "net/smtp.py",
        "if (task := asyncio.current_task()) is not None and task.cancelling():",
        "if False:",
        (
            "tests/unit/net/test_smtp.py"
            "::test_a_cancellation_that_the_library_loses_ends_the_task_all_the_same",
        ),
    ),
    Mutant(
        "a receipt names its message in upper or lower case",
        "vault/messageservice.py",
        "dict.fromkeys((each, each.lower(), each.upper()))",
        "[each]",
        (
            "tests/unit/messageservice/test_life_of_a_message.py"
            "::test_a_receipt_names_its_message_in_upper_or_lower_case",
        ),
    ),
    Mutant(
        "a recipient that is not served now does not delay its neighbours at the access point",
        "accesspoint/outbound.py",
        "at_recipient if answer.bare_status else at_address",
        "at_address",
        (
            "tests/unit/accesspoint/test_outbound.py"
            "::test_a_recipient_that_is_not_served_now_does_not_delay_its_neighbours_at_the_access_point",
        ),
    ),
    Mutant(
        "a command puts vaults in order where nothing serves that has",
        "vault/database/migrations.py",
        "    return bool(serving and reached)\n",
        "    return bool(reached)\n",
        (_IN_ORDER,),
    ),
    Mutant(
        "a command of another version puts vaults in order itself",
        "vault/database/migrations.py",
        "    return bool(serving and reached)\n",
        "    return bool(serving)\n",
        (_IN_ORDER,),
    ),
    Mutant(
        "a vault whose database was missing at the start is put in order by the next command",
        "vault/provision.py",
        "migrations.forget_in_order if missing else migrations.keep_in_order\n",
        "migrations.keep_in_order\n",
        (
            "tests/unit/vault/test_inorder.py::test_a_database_that_is_missing_is_said_and_keeps_no_other_from_starting",
        ),
    ),
    Mutant(
        "the doctor sees that everybody may connect to the database",
        "operations/foundation.py",
        "    if facts.everybody_connects:\n",
        "    if False:\n",
        (f"{_DOCTOR}::test_rights_that_everybody_was_given",),
    ),
    Mutant(
        "the doctor sees settings of the database that lose what was committed",
        "operations/foundation.py",
        "    if facts.loses:\n",
        "    if False:\n",
        (f"{_DOCTOR}::test_a_database_that_may_lose_what_it_committed",),
    ),
    Mutant(
        "no login goes to a standby",
        "vault/database/server.py",
        '    "target_session_attrs": "primary",\n',
        "",
        (_STANDBY,),
    ),
    Mutant(
        "the doctor sees that others read a passphrase",
        "operations/places.py",
        "    if mode & denied:\n",
        "    if False:\n",
        (f"{_DOCTOR}::test_a_passphrase_that_others_read",),
    ),
    Mutant(
        "the doctor sees a login with other rights than its own",
        "operations/foundation.py",
        "    if facts.disordered:\n",
        "    if False:\n",
        (f"{_DOCTOR}::test_a_login_that_was_given_more_than_its_own",),
    ),
    Mutant(
        "the doctor judges certificates by the issuers that clients trust",
        "operations/tlsrules.py",
        "    context.load_verify_locations(target.issuers or certifi.where())\n",
        "    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE\n",
        (f"{_TLS}::test_a_certificate_of_another_name_or_issuer",),
    ),
    Mutant(
        "a new installation replaces nothing that is there",
        "cli/init.py",
        "    if folder.exists() and any(folder.iterdir()):\n",
        "    if False:\n",
        (f"{_SETUP}::test_nothing_that_is_there_is_replaced",),
    ),
    Mutant(
        "what goes into a new installation's files is checked",
        "operations/setup.py",
        "            if not form.fullmatch(getattr(self, name)):\n",
        "            if False:\n",
        (f"{_SETUP}::test_an_answer_that_cannot_be_used",),
    ),
    Mutant(
        "commands that change an installation go in turn",
        "administration/turns.py",
        "            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "            pass\n",
        (f"{_TURNS}::test_one_waits_for_another_says_which_and_goes_on_when_that_is_killed",),
    ),
    Mutant(
        "an outage writes one line, however often it is met",
        "installation/health.py",
        "            if logs and (before is None or before.gone_since is None):\n",
        "            if logs:\n",
        (f"{_HEALTH}::test_a_change_writes_one_line_and_what_stays_none",),
    ),
    Mutant(
        "a clock that is not the database's is told",
        "installation/health.py",
        "        if abs(self._ahead) >= MAX_DIFFERENCE.total_seconds():\n",
        "        if False:\n",
        (f"{_TIME}::test_a_clock_that_is_not_the_databases_is_named_with_how_far_it_is_off",),
    ),
    Mutant(
        "a program does not run on a schema of a form that it does not know",
        "vault/database/migrations.py",
        "    if form > FORM:\n",
        "    if False:\n",
        (f"{_FORMS}::test_a_program_is_refused_by_a_schema_of_a_form_that_it_does_not_know",),
    ),
    Mutant(
        "no schema gets another form while processes of the former version serve",
        "vault/database/migrations.py",
        "    if serving:\n",
        "    if False:\n",
        (f"{_FORMS}::test_no_schema_gets_another_form_while_processes_of_the_former_version_serve",),
    ),
    Mutant(
        "a number that a connection gave back is not closed a second time",
        "installation/loop.py",
        "                    lent.detach()\n",
        "                    pass\n",
        (
            "tests/unit/installation/test_loop.py"
            "::test_a_connection_that_its_peer_has_reset_closes_nothing_that_is_opened_later",
        ),
    ),
    Mutant(
        "what an outage cuts off does not wait for its lease",
        "scheduling/dispatch.py",
        "            if isinstance(failure, Temporary) and times < _CUT_AT_MOST:\n",
        "            if False:\n",
        (f"{_DISPATCH}::test_what_an_outage_cuts_off_does_not_wait_for_its_lease",),
    ),
    Mutant(
        "what is cut off time and again waits for its lease",
        "scheduling/dispatch.py",
        "            if isinstance(failure, Temporary) and times < _CUT_AT_MOST:\n",
        "            if isinstance(failure, Temporary):\n",
        (f"{_DISPATCH}::test_what_is_cut_off_time_and_again_or_by_a_fault_waits_for_its_lease",),
    ),
    Mutant(
        "what was cut off before another process was in charge is that one's",
        "scheduling/dispatch.py",
        "if not cut.given_back and cut.gained == gained}",
        "if not cut.given_back}",
        (f"{_DISPATCH}::test_what_was_cut_off_before_another_process_was_in_charge_is_not_given_back",),
    ),
    Mutant(
        "what an access point has under way when an outage comes is given back",
        "accesspoint/outbound.py",
        "            vault.resume(cut, now=now)\n",
        "",
        (
            "tests/unit/accesspoint/test_sending.py"
            "::test_an_attempt_that_an_outage_cuts_off_does_not_wait_for_its_lease_and_counts_for_nothing",
        ),
    ),
    Mutant(
        "the receipt of an attempt that ended with its process counts",
        "accesspoint/outbound.py",
        "if attempt.references or reason_and_detail(attempt.error)[0] is TransferReason.NONE\n",
        "if attempt.references or attempt.error is None\n",
        (
            "tests/unit/accesspoint/test_outbound.py"
            "::test_the_receipt_of_an_attempt_that_ended_with_its_process_counts",
        ),
    ),
    Mutant(
        "a message that an outage cut off is looked for before it is sent again",
        "messageclient/sending.py",
        "again=one.id in cut or one.attempts > 1)",
        "again=one.attempts > 1)",
        (
            f"{_MAIL_SENDING}::test_what_an_outage_cuts_off_goes_on_with_the_next_turn_and_is_looked_for_first",
        ),
    ),
    Mutant(
        "a message that cannot be read holds up the others a few times at most",
        "messageclient/sending.py",
        "for message, times in left.items() if times < _CUT_AT_MOST}",
        "for message, times in left.items()}",
        (f"{_MAIL_SENDING}::test_one_message_that_cannot_be_read_holds_up_the_others_a_few_times_at_most",),
    ),
    Mutant(
        "a message that an outage cut off is not sent where another process was in charge meanwhile",
        "messageclient/sending.py",
        "            await vault.release_claims(ended, now=self._clock())\n        self._cut.clear()\n",
        "            await vault.release_claims(ended, now=self._clock())\n",
        (
            f"{_MAIL_SENDING}"
            "::test_what_an_outage_cut_off_is_not_gone_on_with_where_another_process_was_in_charge",
        ),
    ),
    Mutant(
        "the doctor tells what the organisations' processes find",
        "installation/reports.py",
        "        return await processes_of(config, client)()\n",
        "        return await ask_running(control_folder(config.vaults))\n",
        (
            "tests/unit/installation/test_reports.py::test_the_doctor_tells_what_the_organisations_processes_find",
        ),
    ),
    Mutant(
        "a process that has done its work is not aborted by a thread that is still handing over an answer",
        "vault/objects.py",
        "    while sys._current_frames().keys() - own and",
        "    while False and",
        ("tests/unit/vault/test_objects.py::test_a_process_that_ends_right_after_its_last_object_ends_well",),
    ),
    Mutant(
        "a file that a thread reads is not closed",
        "vault/objects.py",
        "        if reading is None or reading.done():\n",
        "        if True:\n",
        ("tests/unit/vault/test_objects.py::test_who_stops_reading_takes_nothing_from_what_is_opened_next",),
    ),
    Mutant(
        "an organisation that nobody serves is not ready",
        "administration/checklist.py",
        "        elif role in facts.served.value:\n",
        "        elif True:\n",
        (f"{_CHECKLIST}::test_who_is_not_served_in_a_role_is_not_ready",),
    ),
    Mutant(
        "an examination makes no key store",
        "operations/foundation.py",
        "asyncio.to_thread(open_keys, settings)",
        "asyncio.to_thread(lambda: open_keys(settings, begin=True))",
        (_READS,),
    ),
)
