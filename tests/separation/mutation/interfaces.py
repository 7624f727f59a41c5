"""Mutants that remove guards of the interfaces.

Guards of the vaults are in :mod:`tests.separation.mutation.guards`.
"""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_C = "tests/roles/test_interface_c.py"
_WAYS = "tests/unit/accesspoint/test_interface_c_ways.py"
_D = "tests/roles/test_interface_d_separation.py"
_EVIDENCE = "tests/roles/test_interface_d_evidence.py"
_ASKED = "tests/roles/test_interface_d_requests.py"
_REACHES = f"{_D}::test_a_client_reaches_nothing_of_another"
_TOKENS = "tests/unit/messageservice/oauth/test_access_tokens.py"
_ENDPOINT = "tests/unit/messageservice/oauth/test_token_endpoint.py"
_RESULT = "tests/unit/isolationcheck/test_result.py"

INTERFACE_C = (
    Mutant(
        "a process is told of a certificate by the front alone",
        "net/forwarding.py",
        '{_CLIENT_CERT, b"client-cert-chain", b"connection"',
        '{b"connection"',
        (
            "tests/unit/net/test_forwarding.py"
            "::test_the_certificate_goes_along_and_what_a_client_says_of_one_does_not",
        ),
    ),
    Mutant(
        "that a client was judged is known from the front alone",
        "net/forwarding.py",
        "| {_VOUCHED, REDIRECT.encode()}",
        "| {REDIRECT.encode()}",
        ("tests/unit/net/test_forwarding.py::test_nobody_outside_can_say_that_a_client_was_judged",),
    ),
    Mutant(
        "a message service hands on its own organisation's logs alone",
        "processes/front.py",
        "if place_of(self._folder, name, Door.D) == judged]",
        "]",
        (
            "tests/unit/processes/test_front.py"
            "::test_a_message_service_hands_on_its_own_organisations_logs_alone",
        ),
    ),
    Mutant(
        "a client certificate is one organisation's",
        "accesspoint/interface_c.py",
        'client = self._clients().get(request.scope.get(CLIENT_CERTIFICATE) or "")',
        "client = next(iter(self._clients().values()), None)",
        (f"{_C}::test_an_unregistered_client_of_another_operator",),
    ),
    Mutant(
        "who calls within a process is the one whose certificate a handshake has verified",
        "net/inprocess.py",
        "CLIENT_CERTIFICATE: shown.fingerprint,",
        "CLIENT_CERTIFICATE: headers.get(CLIENT_CERTIFICATE, shown.fingerprint),",
        (f"{_WAYS}::test_nobody_calls_in_the_name_of_another_organisation",),
    ),
    Mutant(
        "within a process, too, a certificate is one of an issuer that is trusted now",
        "net/inprocess.py",
        "if shown is None or shown.contexts != contexts or now > shown.until:",
        "if shown is None:",
        (
            "tests/unit/net/test_inprocess.py"
            "::test_an_issuer_that_is_removed_is_trusted_no_more_at_the_next_call",
        ),
    ),
    Mutant(
        "an organisation whose access point is another one is not served by ours",
        "installation/accesspoints.py",
        "if local is not None and is_own_listener(config, organisation.access_point):",
        "if local is not None:",
        (
            "tests/unit/installation/test_accesspoints.py"
            "::test_the_access_point_of_this_process_is_called_directly_and_no_other",
        ),
    ),
    Mutant(
        "an answer with envelopes is in the log, beside what it removed",
        "vault/accesspoint.py",
        "            self._work.show()\n",
        "            self._work.use()\n",
        (
            "tests/unit/vault/test_accesspoint.py"
            "::test_invariant_15_what_shows_an_envelope_has_an_entry_of_its_own_beside_what_it_did",
        ),
    ),
    Mutant(
        "an organisation sends in its own name",
        "accesspoint/interface_c.py",
        "if header.sender != organisation:",
        "if False:",
        (f"{_C}::test_nobody_sends_in_the_name_of_another_organisation",),
    ),
    Mutant(
        "who sends a message learns nothing of messages between others",
        "messageservice/incoming/inbox.py",
        "if known is None or new.header.sender not in (known.sender, known.recipient):",
        "if known is None:",
        ("tests/roles/test_content_specification_5_3.py::test_row_7_a_message_between_others_is_unknown",),
    ),
)

INTERFACE_D = (
    Mutant(
        "a token opens the operations of its scopes",
        "messageservice/interface_d/application.py",
        "if operation.scope not in access.scopes:",
        "if False:",
        (f"{_ASKED}::test_5_1_a_scope_opens_its_operations_alone",),
    ),
    Mutant(
        "an organisation that is not served gets no answer",
        "messageservice/interface_d/application.py",
        "if access.organisation not in self._served:",
        "if False:",
        (f"{_ASKED}::test_an_organisation_that_is_not_served_gets_no_answer",),
    ),
    Mutant(
        "a message is read in a mailbox of the client's",
        "messageservice/interface_d/mailboxes.py",
        "record.size and access.covers(record.mailbox) and filters",
        "record.size and filters",
        (_REACHES,),
    ),
    Mutant(
        "evidence is of a message in a mailbox of the client's",
        "messageservice/interface_d/mailboxes.py",
        "            record = await _reached(vault, access, message_id, filters)\n"
        "            if record is None:\n"
        "                return None\n"
        "            body = await _body(vault, record) if original else None\n",
        "            record = await vault.message(message_id)\n"
        "            if record is None:\n"
        "                return None\n"
        "            body = await _body(vault, record) if original else None\n",
        (_REACHES,),
    ),
    Mutant(
        "evidence is in the log under the client's name before it is shown",
        "messageservice/interface_d/mailboxes.py",
        "            vault.record(MTEvent.MT_MESSAGE_EVIDENCED, message=record.id)\n",
        "",
        (f"{_EVIDENCE}::test_it_is_in_the_log_under_the_clients_name_before_it_is_shown",),
    ),
    Mutant(
        "an original is a reading",
        "messageservice/interface_d/mailboxes.py",
        "            if body is not None:\n"
        "                vault.record(MTEvent.MT_MESSAGE_READ, message=record.id)\n"
        "        return Found(record, (), body)",
        "        return Found(record, (), body)",
        (f"{_EVIDENCE}::test_it_is_in_the_log_under_the_clients_name_before_it_is_shown",),
    ),
    Mutant(
        "an original in evidence is the one that the log commits to",
        "evidence/verifying.py",
        "yield Finding(ORIGINAL_FILE, digest in committed,",
        "yield Finding(ORIGINAL_FILE, True,",
        (f"{_EVIDENCE}::test_another_original_does_not_hold",),
    ),
    Mutant(
        "what is not there for a client is a denial in the log",
        "messageservice/interface_d/mailboxes.py",
        "    vault.record(MTEvent.MT_CLIENT_DENIED, **ids,"
        ' reason="no such message in the client\'s mailboxes")\n',
        "    vault.record(MTEvent.MT_MESSAGE_READ, **ids)\n",
        (_REACHES,),
    ),
    Mutant(
        "a list holds the client's mailboxes",
        "messageservice/interface_d/mailboxes.py",
        "return tuple(dict.fromkeys(exact))",
        "return tuple(await vault.mailboxes())",
        (_REACHES,),
    ),
    Mutant(
        "a list by pattern holds what the pattern covers",
        "messageservice/interface_d/mailboxes.py",
        "return tuple(filter(access.covers, await vault.mailboxes()))",
        "return tuple(await vault.mailboxes())",
        (f"{_D}::test_a_pattern_lists_what_it_covers",),
    ),
    Mutant(
        "events are of the client's mailboxes",
        "messageservice/interface_d/following.py",
        "[step for step in changes.steps if access.covers(step[1].mailbox)]",
        "list(changes.steps)",
        (_REACHES,),
    ),
    Mutant(
        "a place in a list is one of a message",
        "messageservice/interface_d/filters.py",
        "            if not is_uuid(message_id):\n                raise ValueError\n",
        "",
        ("tests/unit/messageservice/interface_d/test_filters.py",),
    ),
    Mutant(
        "the last day of the calendar can be the end of a list",
        "messageservice/interface_d/filters.py",
        "return midnight + _TO_END_OF_DAY if last else midnight",
        "return midnight + timedelta(days=1) - timedelta(microseconds=1) if last else midnight",
        ("tests/unit/messageservice/interface_d/test_filters.py",),
    ),
    Mutant(
        "a client sends from its own addresses",
        "messageservice/interface_d/posting.py",
        "if not access.covers(functional_address(message.sender)):",
        "if False:",
        (f"{_ASKED}::test_a_client_sends_from_its_own_addresses",),
    ),
    Mutant(
        "an answer tells the conversation of the client's own messages",
        "messageservice/interface_d/posting.py",
        "if record is not None and access.covers(record.mailbox):",
        "if record is not None:",
        ("tests/unit/messageservice/interface_d/test_posting.py",),
    ),
    Mutant(
        "a message's sender is the organisation of the token",
        "messageservice/service.py",
        "if message.sender.id.extension.lower() != organisation.value:",
        "if False:",
        (f"{_ASKED}::test_a_client_sends_as_its_own_organisation",),
    ),
    Mutant(
        "an address without a star is that address",
        "contracts/messageclients.py",
        "return address == self.before",
        "return address.startswith(self.before)",
        ("tests/unit/messageservice/test_access.py",),
    ),
    Mutant(
        "the default client has not what is another client's",
        "messageservice/access.py",
        "return self.others is not None and not any(pattern.covers(address) for pattern in self.others)",
        "return self.others is not None",
        (f"{_TOKENS}::test_the_default_client_has_what_is_no_other_clients",),
    ),
)

TOKENS = (
    Mutant(
        "an issuer is one organisation's",
        "messageservice/oauth/registrations.py",
        "return self._named.get(name)",
        "return next(iter(self._named.values()), None)",
        (f"{_TOKENS}::test_a_token_of_one_organisation_opens_nothing_of_another",),
    ),
    Mutant(
        "an issuer ends with its organisation",
        "messageservice/oauth/registrations.py",
        "        if now != self._read:",
        "        if self._read is None:",
        (f"{_ENDPOINT}::test_an_issuer_is_that_of_whoever_is_hosted_now",),
    ),
    Mutant(
        "a token is verified with the keys of its issuer",
        "messageservice/oauth/keyring.py",
        "return self._keep(organisation, lambda: self._made_in_place(organisation), _OWN)",
        "return self._keep(KeysAt(''), lambda: self._made_in_place(organisation), _OWN)",
        (_TOKENS, _ENDPOINT),
    ),
    Mutant(
        "a token is signed",
        "wire/jose/jwt.py",
        "if not any(self._signed_by(key) for key in keys if self.algorithm in key.algorithms):",
        "if False:",
        (f"{_TOKENS}::test_a_forged_token",),
    ),
    Mutant(
        "a token is for this interface",
        "messageservice/oauth/verifying.py",
        'if audience not in claims.texts("aud"):',
        "if False:",
        (f"{_TOKENS}::test_a_token_that_does_not_fit",),
    ),
    Mutant(
        "an organisation's own server vouches for its clients alone",
        "messageservice/oauth/verifying.py",
        "        if client.keys is not None:\n"
        '            raise JwtInvalid("another authorisation server vouches for the client")\n'
        "        addresses",
        "        addresses",
        (f"{_TOKENS}::test_their_token_that_does_not_fit",),
    ),
    Mutant(
        "a token gives no address that it does not name",
        "messageservice/oauth/verifying.py",
        "(pattern for pattern in client.patterns if str(pattern) in named)",
        "client.patterns",
        (f"{_TOKENS}::test_a_client_whose_registration_shrinks_loses_that_at_once",),
    ),
    Mutant(
        "a token gives no scope that its client has not",
        "messageservice/oauth/verifying.py",
        "if scope is not None) & client.scopes",
        "if scope is not None)",
        (f"{_TOKENS}::test_a_client_whose_registration_shrinks_loses_that_at_once",),
    ),
    Mutant(
        "an assertion is for one issuer",
        "messageservice/oauth/issuing.py",
        "if not named or not ours.issuperset(named):",
        "if not named:",
        (f"{_ENDPOINT}::test_an_assertion_that_does_not_fit",),
    ),
    Mutant(
        "an assertion is good once",
        "messageservice/oauth/issuing.py",
        "if not await vault.use_assertion(shown.mark, until=shown.until, now=now):",
        "if False:",
        (f"{_ENDPOINT}::test_an_assertion_is_good_once",),
    ),
    Mutant(
        "nobody learns which clients there are",
        "messageservice/oauth/issuing.py",
        "keys = client.keys if client and client.keys else _another(clients)",
        "keys = client.keys if client and client.keys else PublicKeys(())",
        (f"{_ENDPOINT}::test_who_is_no_client_takes_as_much_work",),
    ),
)

_COMMANDS = "tests/roles/test_command_line_separation.py"
COMMANDS = (
    Mutant(
        "nothing that a peer controls reaches a terminal as it came",
        "config/errors.py",
        "each if each.isprintable() else each.encode",
        "each if True else each.encode",
        (
            "tests/unit/cli/test_envelope.py::test_a_name_in_a_certificate_cannot_overwrite_the_verdict",
            "tests/unit/cli/test_as4.py::test_nothing_that_a_peer_writes_reaches_a_terminal_raw",
        ),
    ),
    Mutant(
        "a command looks into the queue of the organisation that it names",
        "administration/queue.py",
        "if self._only is not None:\n            return (self._only,)",
        "if False:\n            return ()",
        (f"{_COMMANDS}::test_a_command_tells_and_does_nothing_about_anothers_records",),
    ),
    Mutant(
        "a command changes the passwords of the organisation that it names",
        "cli/database.py",
        "if only in (None, one.organisation)]",
        "]",
        (f"{_COMMANDS}::test_a_command_for_one_organisation_leaves_another_alone",),
    ),
)

THE_CHECK = (
    Mutant(
        "a leak is never called denied",
        "isolationcheck/ledger.py",
        "verdict = Verdict.LEAKED if leak else Verdict.DENIED",
        "verdict = Verdict.DENIED",
        (_RESULT,),
    ),
    Mutant(
        "what was not tried is never called denied",
        "isolationcheck/ledger.py",
        "actor, Verdict.UNTRIED, why, expected)",
        "actor, Verdict.DENIED, why, expected)",
        (_RESULT,),
    ),
    Mutant(
        "a result that was changed does not verify",
        "attestation/signatures.py",
        "        key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())\n",
        "        str(data)\n",
        (_RESULT,),
    ),
)
