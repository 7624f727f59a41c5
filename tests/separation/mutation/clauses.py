"""Guards that a clause of the specifications asks for, each as the mutant that lacks it."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_ROUTE = "tests/unit/accesspoint/test_route.py"
_LOOKUPS = "tests/unit/messageservice/test_lookups.py"
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
)
