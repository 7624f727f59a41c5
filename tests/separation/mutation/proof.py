"""Guards of what an organisation proves with and moves along: evidence, keys, exports."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_EVIDENCE = "tests/roles/test_evidence.py"

PROOF = (
    Mutant(
        "evidence that lacks a receipt in its log does not hold",
        "app/evidence/verifying.py",
        "        if name not in said.digests:\n",
        "        if False:\n",
        (f"{_EVIDENCE}::test_evidence_that_lacks_what_its_log_speaks_of_does_not_hold",),
    ),
    Mutant(
        "a receipt in evidence is the one that the log commits to",
        "app/evidence/verifying.py",
        "same = said.kept.get(commitment) == said.digests[name]",
        "same = True",
        (f"{_EVIDENCE}::test_evidence_that_lacks_what_its_log_speaks_of_does_not_hold",),
    ),
    Mutant(
        "evidence that lacks a digest in its log does not hold",
        "app/evidence/verifying.py",
        "yield Finding(where, digest is not None, why)",
        "yield Finding(where, True, why)",
        (f"{_EVIDENCE}::test_evidence_that_lacks_what_its_log_speaks_of_does_not_hold",),
    ),
    Mutant(
        "evidence has all entries about its message that its section has",
        "app/evidence/verifying.py",
        'all of it", not left_out, first',
        'all of it", True, first',
        (f"{_EVIDENCE}::test_evidence_that_lacks_what_its_log_speaks_of_does_not_hold",),
    ),
    Mutant(
        "evidence of version 1 has as many receipts as its log",
        "app/evidence/verifying.py",
        "if there < len(named):",
        "if False:",
        (f"{_EVIDENCE}::test_evidence_of_version_1_that_lacks_a_receipt_does_not_hold",),
    ),
    Mutant(
        "a receipt outlives the message that a client deletes",
        "vault/sql/messageservice-6.sql",
        "        IF way = 'out' THEN\n            DELETE FROM work",
        "        DELETE FROM receipts r WHERE r.message = message AND r.direction <> way;\n"
        "        IF way = 'out' THEN\n            DELETE FROM work",
        (
            "tests/unit/vault/test_messageservice.py::"
            "test_a_deleted_message_is_gone_but_its_id_and_its_proof_stay",
        ),
    ),
    Mutant(
        "a digest that the log commits to is sealed",
        "vault/messagerows.py",
        'return sealer.seal(digest.salt + digest.sha256, f"digest {digest.commitment}")',
        "return digest.salt + digest.sha256",
        ("tests/separation/test_at_rest.py::test_no_planted_word_can_be_read_from_the_disk",),
    ),
)
