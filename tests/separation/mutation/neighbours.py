"""Mutants that remove guards against one organisation, or a stranger, slowing other organisations down."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_DESK = "tests/unit/messageclient/test_desk.py"
_INCOMING = "tests/unit/messageservice/incoming"
_JSON = "tests/unit/messageservice/interface_d/test_json.py"
_ACCEPTING = "tests/unit/net/test_accepting.py"
_DOMIBUS = "tests/unit/domibus/test_inbox.py"
_GATE = "tests/unit/vault/test_gate.py"
_TAMPERED = (
    f"{_GATE}::test_invariant_17_a_tampered_key_folder_stops_the_due_work_of_its_own_organisation_alone"
)
_LIMITS = f"{_INCOMING}/test_limits.py"
_MAILBOX = "tests/unit/client/test_mailbox.py"
_MOMENTS = "tests/unit/vault/test_moments.py"
_PLACES = "tests/roles/test_places.py"
_SERVER = "tests/unit/net/test_server.py"

NEIGHBOURS = (
    Mutant(
        "what a person looks for an address by is not of any length",
        "messageclient/finding.py",
        "few = len(wanted) <= _MAX_NEAR_WORDS",
        "few = True",
        (f"{_DESK}::test_looking_for_an_address_takes_no_more_however_much_is_written_and_holds_nobody_up",),
    ),
    Mutant(
        "nobody waits for addresses that nearly fit what another person wrote",
        "messageclient/finding.py",
        "await self._aside(partial(_nearly_fitting, wanted, texts))",
        "_nearly_fitting(wanted, texts)",
        (f"{_DESK}::test_looking_for_an_address_takes_no_more_however_much_is_written_and_holds_nobody_up",),
    ),
    Mutant(
        "what an object store lists elsewhere is none of the vault's",
        "vault/objects.py",
        '            if entry["path"].startswith(f"{prefix}/")\n',
        "",
        ("tests/unit/vault/test_remoteobjects.py::test_what_a_store_lists_elsewhere_is_none_of_the_vaults",),
    ),
    Mutant(
        "junk is refused where it shows to be junk",
        "messageservice/interface_d/json.py",
        "if self._stray > MAX_STRAY:",
        "if False:",
        (f"{_JSON}::test_290_kb_of_junk_are_refused_where_they_show_to_be_junk",),
    ),
    Mutant(
        "a document has a bounded number of values",
        "messageservice/interface_d/json.py",
        "if self._values > MAX_VALUES:",
        "if False:",
        (f"{_JSON}::test_a_document_that_fits_has_a_bounded_number_of_values",),
    ),
    Mutant(
        "a list is JSON where the rest was deleted while it was read",
        "messageservice/interface_d/application.py",
        "        if listed:  # The rest",
        "        if True:  # The rest",
        ("tests/unit/messageservice/interface_d/test_writing.py",),
    ),
    Mutant(
        "a clock is compared after stamps have begun at zero again",
        "net/timeserver.py",
        "(int(moment) + _TO_1970) % _ERA",
        "int(moment) + _TO_1970",
        ("tests/unit/net/test_timeserver.py",),
    ),
    Mutant(
        "a document may end where a step of the parser ends",
        "messageservice/interface_d/json.py",
        "        if rest:  # The parser",
        "        if True:  # The parser",
        (f"{_JSON}::test_a_document_may_end_where_a_step_of_the_parser_ends",),
    ),
    Mutant(
        "a document is parsed in short steps",
        "messageservice/interface_d/json.py",
        "        self.step = _STEP\n",
        "        self.step = _BLOCK\n",
        (f"{_JSON}::test_a_step_is_short_and_a_text_is_not_read_again_and_again",),
    ),
    Mutant(
        "documents are parsed in fair turns",
        "scheduling/shares.py",
        "        async with self._turns.turn(organisation):\n",
        "        async with contextlib.AsyncExitStack():\n",
        (f"{_JSON}::test_eight_documents_of_one_organisation_get_few_steps_between_anothers",),
    ),
    Mutant(
        "an organisation has its share of the time",
        "scheduling/shares.py",
        "            await asyncio.sleep(left)\n",
        "            return\n",
        ("tests/unit/scheduling/test_shares.py",),
    ),
    Mutant(
        "who sends junk is answered later",
        "messageservice/interface_d/application.py",
        "            self._shares.charge(access.organisation, _COST_OF_REFUSAL)\n",
        "",
        (f"{_PLACES}::test_who_floods_with_junk_is_answered_slower_and_others_are_not",),
    ),
    Mutant(
        "one envelope of a limited sender is judged at a time",
        "messageservice/incoming/polling.py",
        "            (waiting if self.applies(item, now) else judged).append(item)\n",
        "            judged.append(item)\n",
        (_LIMITS, f"{_INCOMING}/test_polling.py"),
    ),
    Mutant(
        "envelopes of a limited sender are not judged again by themselves",
        "messageservice/incoming/polling.py",
        "            if state.limits.applies(item, self._clock()):\n",
        "            if False:\n",
        (f"{_INCOMING}/test_polling.py",),
    ),
    Mutant(
        "an envelope that is refused before it is decrypted does not end its sender's limit",
        "messageservice/incoming/polling.py",
        "        if decrypted and limit is not None",
        "        if limit is not None",
        (_LIMITS, f"{_INCOMING}/test_polling.py"),
    ),
    Mutant(
        "what is taken over together ends a limit only if it was decrypted",
        "messageservice/incoming/together.py",
        " for item, _, judgement in judged if judgement.decrypted)",
        " for item, _, judgement in judged)",
        (f"{_INCOMING}/test_together.py::test_junk_is_refused_together_in_one_opening_and_judged_once",),
    ),
    Mutant(
        "message receipts of a limited sender do not wait",
        "messageservice/incoming/polling.py",
        "    return document.requires_protection and document not in RECEIPTS\n",
        "    return document.requires_protection\n",
        (_LIMITS,),
    ),
    Mutant(
        "what waits for its sender's limit is refused when its receipt is overdue",
        "messageservice/incoming/polling.py",
        "        return _is_encrypted(item) and now < item.received_at + self.overdue_after\n",
        "        return _is_encrypted(item)\n",
        (_LIMITS,),
    ),
    Mutant(
        "pages of envelopes that wait for a limit are read once",
        "messageservice/incoming/polling.py",
        "        state.go_on(poll.inbox, judged)\n",
        "        state.go_on(poll.inbox, items)\n",
        (f"{_INCOMING}/test_polling.py",),
    ),
    Mutant(
        "one login leaves database connections to commands",
        "vault/database/capacity.py",
        "SPARE = 64\n",
        "SPARE = 32\n",
        ("tests/unit/vault/database/test_capacity.py",),
    ),
    Mutant(
        "silent connections of one address are bounded",
        "net/accepting.py",
        "return not limited or self._of_address[address] < self._per_address",
        "return True",
        (f"{_ACCEPTING}::test_1100_silent_connections_of_one_address_leave_room_for_others",),
    ),
    Mutant(
        "connections leave descriptors for everything else",
        "net/accepting.py",
        "if _all[_OPEN] >= most_connections():",
        "if False:",
        (f"{_ACCEPTING}::test_no_more_connections_are_accepted_than_half_of_the_descriptors",),
    ),
    Mutant(
        "a handshake has seconds",
        "net/accepting.py",
        "ssl_handshake_timeout=self._handshake if self._tls else None,",
        "ssl_handshake_timeout=None,",
        (f"{_ACCEPTING}::test_who_does_not_shake_hands_is_hung_up_on",),
    ),
    Mutant(
        "the head of a request has seconds",
        "net/server.py",
        "            return self._head_began + self._head_patience if begun else None",
        "            return self._heard + self._patience if begun else None",
        (f"{_ACCEPTING}::test_who_never_ends_the_head_of_a_request_is_hung_up_on",),
    ),
    Mutant(
        "so has the head of a later request",
        "net/server.py",
        "        self._look_within(self._head_patience)\n        if self._barren > _MAX_BARREN",
        "        if self._barren > _MAX_BARREN",
        (f"{_SERVER}::test_a_connection_is_left_alone_while_an_answer_is_awaited",),
    ),
    Mutant(
        "so has one that began before the last answer",
        "net/server.py",
        "        if self._barren:\n            self._look_within(self._head_patience)\n",
        "",
        (f"{_SERVER}::test_who_goes_silent_in_a_request_that_began_before_the_last_answer_is_hung_up_on",),
    ),
    Mutant(
        "strangers do not fill the operator's log",
        "accesspoint/refusals.py",
        "        if self._left < 1:\n",
        "        if False:\n",
        (
            "tests/unit/accesspoint/test_refusals.py",
            "tests/roles/test_access_point_receives.py::test_strangers_do_not_fill_the_operators_log",
        ),
    ),
    Mutant(
        "strangers hide no refusal of a peer's message",
        "accesspoint/refusals.py",
        "self._allowances.setdefault(peer, _Allowance(now))",
        'self._allowances.setdefault("", _Allowance(now))',
        ("tests/unit/accesspoint/test_refusals.py",),
    ),
    Mutant(
        "polls take places",
        "accesspoint/interface_c.py",
        "        with self._polls.taken(client.organisation):\n",
        "        if True:\n",
        (f"{_PLACES}::test_polls_take_places_too_whether_they_wait_or_do_not_come_whole",),
    ),
    Mutant(
        "requests on interface C are paced",
        "accesspoint/interface_c.py",
        "        await self._shares.request(client.organisation, _COST_OF_REQUEST)\n",
        "",
        ("tests/unit/accesspoint/test_interface_c_answers.py",),
    ),
    Mutant(
        "requests on interface D are paced",
        "messageservice/interface_d/application.py",
        "            await self._shares.request(access.organisation, _COST_OF_REQUEST)\n",
        "",
        (f"{_PLACES}::test_every_operation_of_interface_d_waits_for_its_organisations_share",),
    ),
    Mutant(
        "a message from a Domibus has a bounded size",
        "domibus/plugin.py",
        "        if size > limits.size:\n",
        "        if False:\n",
        (f"{_DOMIBUS}::test_a_part_without_an_end_is_given_up",),
    ),
    Mutant(
        "an answer of a Domibus has a bounded time",
        "domibus/plugin.py",
        "        if clock() > end:\n",
        "        if False:\n",
        (f"{_DOMIBUS}::test_an_answer_that_drips_without_an_end_is_given_up",),
    ),
    Mutant(
        "pages of a message service have an end",
        "client/mailbox.py",
        "            if path in asked or (path and empty > _MAX_EMPTY_PAGES):\n",
        "            if len(asked) > 1000:\n",
        (f"{_MAILBOX}::test_pages_that_are_empty_without_an_end_are_given_up",),
    ),
    Mutant(
        "a stream of events is resumed after an event that was delivered",
        "client/mailbox.py",
        "            self._id = value\n",
        "            self._id = self.last_id = value\n",
        (f"{_MAILBOX}::test_a_stream_is_resumed_after_an_event_that_was_delivered_not_one_that_was_begun",),
    ),
    Mutant(
        "a stream of events that ends is followed after a pause",
        "cli/client.py",
        "        await asyncio.sleep(_PAUSE)\n",
        "        await asyncio.sleep(0)\n",
        (
            "tests/unit/cli/test_client.py"
            "::test_a_stream_of_events_that_ends_at_once_is_followed_again_after_a_pause",
        ),
    ),
    Mutant(
        "polls that end at once are followed by a pause",
        "messageservice/incoming/polling.py",
        "        if state.early_answers > _MAX_EARLY_ANSWERS:\n",
        "        if False:\n",
        (
            "tests/unit/messageservice/incoming/test_polling.py"
            "::test_an_access_point_whose_polls_end_at_once_is_not_asked_without_pause",
        ),
    ),
    Mutant(
        "a stranger is answered no faster than its share",
        "accesspoint/inbound.py",
        "            self._strangers.charge(source, _COST_OF_REFUSAL)\n",
        "",
        ("tests/roles/test_access_point_receives.py::test_a_stranger_is_answered_no_faster_than_its_share",),
    ),
    Mutant(
        "one organisation's bad key folder does not stop the due work of others",
        "vault/gate.py",
        "        with self._key_faults.of_vault():\n            state = ",
        "        if True:\n            state = ",
        (_TAMPERED,),
    ),
    Mutant(
        "keys that cannot be read are an outage of their vault",
        "vault/openkeys.py",
        "except (KeyStoreError, OSError) as error:",
        "except KeyStoreError as error:",
        (f"{_GATE}::test_keys_that_cannot_be_read_are_an_outage_of_their_vault",),
    ),
    Mutant(
        "a tampered key folder is logged as an alarm although its vault counts as unavailable",
        "vault/openkeys.py",
        "                if error.fault in _ALARMS:\n",
        "                if False:\n",
        (_TAMPERED,),
    ),
    Mutant(
        "a vault that cannot be read for any reason keeps no other vault's moment",
        "vault/moments.py",
        "except Exception as error:\n                self._failed(error)\n                self._doubtful",
        "except EOFError as error:\n                self._failed(error)\n                self._doubtful",
        (f"{_GATE}::test_a_vault_whose_moment_cannot_be_read_for_any_reason_stops_no_other",),
    ),
    Mutant(
        "the task that sends moments survives any fault",
        "vault/moments.py",
        "except Exception as error:\n                if not isinstance(error, VaultError)",
        "except VaultError as error:\n                if not isinstance(error, VaultError)",
        (f"{_MOMENTS}::test_after_a_fault_that_nobody_foresaw_moments_are_sent_too",),
    ),
    Mutant(
        "a process that writes without a line end stops no other",
        "processes/child.py",
        "        except ValueError:  # More",
        "        except EOFError:  # More",
        (
            "tests/unit/processes/test_child.py"
            "::test_one_that_writes_without_a_line_end_is_killed_and_the_other_runs_on",
        ),
    ),
)
