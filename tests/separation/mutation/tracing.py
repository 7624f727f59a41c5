"""Mutants that remove guards of reconciliation, of statements about keys, and of time stamps."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_RECONCILE = "tests/unit/cli/test_log_reconciling.py"
_NIGHTLY = "tests/unit/installation/test_reconciling.py"
_CHANGED = f"{_NIGHTLY}::test_a_log_that_was_changed_is_not_compared_but_named"
_STATEMENTS = "tests/unit/evidence/test_logstatements.py"
_WRONG = f"{_STATEMENTS}::test_a_statement_that_does_not_hold_is_named"
_STAMPS = "tests/unit/installation/test_timestamping.py"
_ASKED = "tests/unit/transparency/test_timestamps.py"
_ASIC = "tests/unit/evidence/test_asic.py"
_FILE = "tests/roles/test_evidence_file.py"
_TRACE = "tests/unit/cli/test_trace.py"
_LOGBOOK = "tests/unit/vault/test_logbook.py"

TRACING = (
    Mutant(
        "a trace leaves out no log while its role is suspended",
        "evidence/trace.py",
        "for role in _PLACES if gate.registry.find(organisation, role)]",
        "for role in _PLACES if gate.registry.serves(organisation, role)]",
        (f"{_TRACE}::test_no_log_is_left_out_of_a_trace_while_its_role_is_suspended",),
    ),
    Mutant(
        "evidence for a client leaves out no log while its role is suspended",
        "installation/evidence.py",
        "        if not all(self._gate.registry.serves(organisation, role) for role in roles):",
        "        if False:",
        (f"{_TRACE}::test_no_log_is_left_out_of_evidence_for_a_client_while_its_role_is_suspended",),
    ),
    Mutant(
        "a trace of a suspended organisation is refused with what to do",
        "cli/trace.py",
        "                require_readable(gate, organisation)\n",
        "",
        (f"{_TRACE}::test_a_suspended_organisation_is_not_one_whose_logs_lack_the_message",),
    ),
    Mutant(
        "evidence of a suspended organisation is refused with what to do",
        "cli/evidenceexporting.py",
        "        require_readable(installation.gate, order.organisation)\n",
        "",
        (f"{_TRACE}::test_evidence_of_a_suspended_organisation_is_refused_with_what_to_do",),
    ),
    Mutant(
        "an organisation that is being closed is not to be resumed",
        "administration/administration.py",
        "    if any(not each.suspended for each in closed):",
        "    if False:",
        (f"{_TRACE}::test_one_that_is_being_closed_is_not_to_be_resumed",),
    ),
    Mutant(
        "an organisation without vaults is not one whose logs lack the message",
        "cli/trace.py",
        "    if not known:\n",
        "    if False:\n",
        (f"{_TRACE}::test_an_organisation_without_vaults_here_is_refused",),
    ),
    Mutant(
        "log reconcile: what does not hold is not compared",
        "evidence/logreconciling.py",
        "if not verdict.holds:",
        "if False:",
        (f"{_RECONCILE}::test_a_log_that_does_not_hold_is_not_compared",),
    ),
    Mutant(
        "log reconcile: what no checkpoint covers is not compared",
        "evidence/logreconciling.py",
        "if entry.sequence >= end:",
        "if False:",
        (f"{_RECONCILE}::test_what_no_checkpoint_covers_is_not_compared",),
    ),
    Mutant(
        "log reconcile: a log has what its role logs",
        "evidence/logreconciling.py",
        "if source in SOURCES and source != role:",
        "if False:",
        (f"{_RECONCILE}::test_what_cannot_be_used_ends_with_2_and_one_line",),
    ),
    Mutant(
        "reconciliation: facts are those in the tree",
        "installation/reconciling.py",
        "if content is not None and commitment(salt, content) != digest:",
        "if False:",
        (_CHANGED,),
    ),
    Mutant(
        "reconciliation: entries are those that the log signed",
        "installation/reconciling.py",
        "if edge.root() != stated.root:",
        "if False:",
        (_CHANGED,),
    ),
    Mutant(
        "log verify: a statement on a key is the one in the log",
        "evidence/logstatements.py",
        "if sha256(described.statement).hexdigest() not in named:",
        "if False:",
        (_WRONG,),
    ),
    Mutant(
        "log verify: a statement is about that key",
        "evidence/logstatements.py",
        'if document["format"] != FORMAT or document["key"] != key:',
        "if False:",
        (_WRONG,),
    ),
    Mutant(
        "log verify: a statement of a custodian is signed",
        "evidence/logstatements.py",
        'return replace(found, signed_with=signed, fault="" if holds else _NOT_SIGNED)',
        "return replace(found, signed_with=signed)",
        (_WRONG,),
    ),
    Mutant(
        "log verify: who states whose a key is, is trusted",
        "evidence/logstatements.py",
        'return "" if judged.trusted else ',
        'return "" if True else ',
        (f"{_STATEMENTS}::test_the_signer_is_judged_by_the_folder_that_is_given",),
    ),
    Mutant(
        "a time stamp is over what it is shown for",
        "transparency/timestamps.py",
        "if hashed is None or not secrets.compare_digest(hashed(message).digest(), imprint.message):",
        "if hashed is None:",
        (
            f"{_ASIC}::test_a_time_stamp_over_something_else_or_by_another_does_not_hold",
            f"{_ASKED}::test_a_stamp_over_something_else_is_refused",
        ),
    ),
    Mutant(
        "a time stamp answers the request that was made",
        "transparency/stamping.py",
        "if decode_timestamp_response(answer.body).tst_info.nonce != request.nonce:",
        "if False:",
        (f"{_ASKED}::test_an_answer_to_another_request_is_no_answer",),
    ),
    Mutant(
        "a time stamp whose certificates have ended was carried on in time",
        "evidence/logstamps.py",
        "if any(at is not None and at <= stamp.until for at in over):",
        "if over:",
        (f"{_STAMPS}::test_a_stamp_whose_certificates_have_ended_holds_if_a_later_one_was_over_it_in_time",),
    ),
    Mutant(
        "log search: all entries that name a message are found",
        "vault/logbook.py",
        ") SELECT * FROM named ORDER BY sequence",
        ") SELECT * FROM named ORDER BY sequence LIMIT 1000",
        (f"{_LOGBOOK}::test_all_entries_that_name_a_message_are_found_however_often_it_was_read",),
    ),
    Mutant(
        "log search: a caller that limits it never gets more",
        "vault/logbook.py",
        "if most is not None and len(rows) > most:",
        "if False:",
        (f"{_LOGBOOK}::test_all_entries_that_name_a_message_are_found_however_often_it_was_read",),
    ),
    Mutant(
        "log search: entries of other events are not read",
        "vault/logbook.py",
        "AND position($3::bytea IN content) > 0",
        "AND position($3::bytea IN content) >= 0",
        (f"{_LOGBOOK}::test_entries_of_other_events_that_name_an_envelope_are_not_read",),
    ),
    Mutant(
        "log: a message that waits is named whatever else the log has about its envelope",
        "messageservice/lifecycle/ledger.py",
        "find_log(named, event=MTEvent.MT_MESSAGE_HELD)",
        "find_log(named)",
        (
            "tests/unit/messageservice/incoming/test_inbox.py"
            "::test_a_message_that_waits_is_named_whatever_else_the_log_has_about_its_envelope",
        ),
    ),
    Mutant(
        "interface D: evidence is not made from any number of entries",
        "installation/evidence.py",
        "Evidence.find(self._gate, order, roles, MOST_ENTRIES)",
        "Evidence.find(self._gate, order, roles)",
        (
            "tests/roles/test_interface_d_evidence.py"
            "::test_evidence_from_too_many_entries_is_left_to_the_operator",
        ),
    ),
    Mutant(
        "log search: all entries of former logs are found",
        "vault/logbook.py",
        ") SELECT * FROM named ORDER BY log, sequence",
        ") SELECT * FROM named ORDER BY log, sequence LIMIT 1000",
        (f"{_LOGBOOK}::test_all_entries_of_all_former_logs_are_found",),
    ),
    Mutant(
        "evidence export: no container is written that is not read again",
        "administration/evidence.py",
        "if self.file.tell() + len(data) > MAX_EVIDENCE:",
        "if False:",
        (f"{_FILE}::test_evidence_that_no_one_could_read_in_a_container_is_not_put_into_one",),
    ),
    Mutant(
        "evidence export: what a container adds to the evidence is counted",
        "evidence/asic.py",
        "MAX_EVIDENCE = MAX_CONTENT - MAX_STAMP - 1024",
        "MAX_EVIDENCE = MAX_CONTENT - MAX_STAMP",
        (f"{_ASIC}::test_the_largest_evidence_is_in_a_container_that_is_read",),
    ),
)
