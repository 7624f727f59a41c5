"""Mutants that remove guards required by a clause of the specifications."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_ROUTE = "tests/unit/accesspoint/test_route.py"
_LOOKUPS = "tests/unit/messageservice/test_lookups.py"
_LOGGED = "tests/roles/test_component_accesspoint_3_4_1.py"
_EVIDENCE = "tests/roles/test_evidence.py"
_CONFORMITY = "tests/unit/accesspoint/test_conformity.py"
_PEERS = "tests/roles/test_peers_command.py"
_DNSSEC = "tests/unit/net/test_dnssec.py"
_PROGRESS = "tests/unit/messageservice/lifecycle/test_progress.py"
_FINDINGS = "tests/unit/messageservice/test_findings.py"

CLAUSES = (
    Mutant(
        "an access point sends for registered senders alone",
        "accesspoint/route.py",
        "            await require_sender(self._discovery, sender, document, now)\n",
        "",
        (f"{_ROUTE}::test_3_2_c_a_sender_that_cannot_receive_the_receipt_sends_nothing",),
    ),
    Mutant(
        "a message service seals for registered senders alone",
        "messageservice/outgoing/sealing.py",
        "        await require_sender(self._discovery, sender, document, now)\n",
        "",
        (f"{_LOOKUPS}::test_3_2_c_a_sender_that_cannot_receive_the_receipt_sends_nothing",),
    ),
    Mutant(
        "a sender whose endpoints have ended is not registered",
        "net/discovery.py",
        "    if not metadata.receives(now):\n",
        "    if False:\n",
        (f"{_ROUTE}::test_3_2_c_a_sender_that_cannot_receive_the_receipt_sends_nothing",),
    ),
    Mutant(
        "an envelope announces the payload that it has",
        "messageservice/findings.py",
        "        if value != prescribed:\n",
        "        if False:\n",
        (
            f"{_FINDINGS}::test_3_2_the_envelope_announces_another_document_than_an_sdk_message",
            f"{_FINDINGS}::test_3_2_the_envelope_announces_something_else_than_xml",
        ),
    ),
    Mutant(
        "an envelope is for the functional address of its message",
        "messageservice/findings.py",
        "    if header.handling_service_id is not None and header.handling_service_id != address:\n",
        "    if False:\n",
        (f"{_FINDINGS}::test_3_2_another_handling_service_than_the_functional_address",),
    ),
    Mutant(
        "the certificate of a peer that receives is kept",
        "accesspoint/outbound.py",
        "**facts, **keep_peer(vault, peer, now, grounds))",
        "**facts)",
        (f"{_LOGGED}::TestOutgoing::test_every_fact_of_a_delivery_is_logged",),
    ),
    Mutant(
        "the certificate of a peer that sends is kept",
        "accesspoint/inbound.py",
        "        vault.expect()\n        facts |= keep_peer(vault, peer, now, grounds)\n",
        "        vault.expect()\n",
        (f"{_LOGGED}::TestIncoming::test_every_fact_of_a_reception_is_logged",),
    ),
    Mutant(
        "evidence that lacks a certificate in its log does not hold",
        "evidence/verifying.py",
        "    if version >= _WITH_CERTIFICATES:\n",
        "    if False:\n",
        (f"{_EVIDENCE}::test_evidence_that_lacks_what_its_log_speaks_of_does_not_hold",),
    ),
    Mutant(
        "an outage is one step of a message that waits",
        "messageservice/lifecycle/progress.py",
        "len(told) >= MOST_WAITS or (told and _same_wait(told[0], title, detail))",
        "len(told) >= MOST_WAITS",
        (f"{_PROGRESS}::test_4_1_2_a_a_waiting_sender_reads_what_is_down_and_since_when",),
    ),
    Mutant(
        "a message has no end of steps about outages",
        "messageservice/lifecycle/progress.py",
        "len(told) >= MOST_WAITS or (told and",
        "(told and",
        (f"{_PROGRESS}::test_4_1_2_a_another_outage_is_another_step_and_a_message_has_no_end_of_them",),
    ),
    Mutant(
        "nobody is reported for what a stranger sends in its name",
        "accesspoint/refusals.py",
        "(in_organisations_log or AUTHENTICATED.items() <= facts.items())",
        "True",
        (f"{_CONFORMITY}::test_a_stranger_in_the_operators_log_is_no_peer",),
    ),
    Mutant(
        "a peer counts as authenticated once its certificate is trusted",
        "accesspoint/inbound.py",
        "            grounds = await self._peers.require_trusted(header, now)\n"
        "            facts |= AUTHENTICATED\n",
        "            facts |= AUTHENTICATED\n"
        "            grounds = await self._peers.require_trusted(header, now)\n",
        (f"{_PEERS}::test_nobody_is_reported_for_what_another_sends_in_its_name",),
    ),
    Mutant(
        "a peer that does not conform raises an alarm",
        "accesspoint/refusals.py",
        "return count.refusals == self._alarm_at",
        "return False",
        (f"{_CONFORMITY}::test_an_alarm_is_raised_once_per_period_and_peer",),
    ),
    Mutant(
        "the word of a resolver elsewhere on DNSSEC does not count",
        "net/dns.py",
        "        if not self._trusted:\n",
        "        if False:\n",
        (f"{_DNSSEC}::test_a_resolver_elsewhere_that_forges_the_bit_changes_nothing",),
    ),
    Mutant(
        "an answer that DNSSEC does not vouch for is refused where it must",
        "net/discovery.py",
        "if self._require_dnssec and dnssec is not Dnssec.AUTHENTICATED:",
        "if False:",
        (f"{_DNSSEC}::test_a_resolver_that_strips_the_bit_changes_the_verdict",),
    ),
    Mutant(
        "a label that only some recipients accept is not sent",
        "messageservice/findings.py",
        'if len(label.encode("utf-16-le", "replace")) > 2 * _MAX_UNITS',
        "if len(label) > _MAX_UNITS",
        (f"{_FINDINGS}::test_4_3_2_a_label_that_is_sent_has_at_most_256_units_of_utf_16",),
    ),
)
