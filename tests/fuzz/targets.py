"""Fuzz targets: one judge for each reader of other parties' data, with inputs to start from.

A judge accepts any bytes and raises in case of a fault: an exception of a kind that its module does not
promise, or two ways of reading that disagree. It runs in a process of its own (:mod:`tests.fuzz.fuzzer`),
where time and memory are limited as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.fuzz import clients, documents, logs, seeds, services, transport
from tests.unit.wire.mutation import Format


@dataclass(frozen=True)
class Target:
    """A fuzz target.

    ``shape`` describes its XML, for mutations that keep it well-formed. ``trusting`` treats every signature
    as valid, so that inputs reach the code that runs after verification.
    """

    judge: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    shape: Format | None = None
    trusting: bool = False


TARGETS = {
    "mime": Target(transport.mime, seeds.as4_messages),
    "as4": Target(transport.as4, seeds.as4_messages),
    "soap": Target(transport.soap, seeds.soap_parts, seeds.SOAP, trusting=True),
    "answer": Target(transport.answer, seeds.answers),
    "gzip": Target(transport.gzip, seeds.compressed),
    "attachment": Target(transport.attachment, seeds.attachments),
    "envelope": Target(documents.envelopes, seeds.envelopes, seeds.ENVELOPE),
    "sealed": Target(documents.sealed, seeds.envelopes, seeds.ENVELOPE, trusting=True),
    "message": Target(documents.message, seeds.messages, seeds.MESSAGE),
    "receipt": Target(documents.message_receipt, seeds.receipts, seeds.RECEIPT),
    "metadata": Target(services.metadata, seeds.metadata, seeds.METADATA, trusting=True),
    "saml": Target(services.saml_answer, seeds.saml_answers, seeds.SAML_ANSWER, trusting=True),
    "saml-metadata": Target(services.saml_metadata, seeds.saml_metadata),
    "addressbook": Target(services.addressbook, seeds.addressbooks),
    "domibus": Target(services.domibus, seeds.domibus_answers),
    "request": Target(clients.request, seeds.requests),
    "fetched": Target(clients.fetched, seeds.requests),
    "token": Target(clients.token, seeds.tokens),
    "file": Target(clients.file, seeds.files),
    "poll": Target(services.poll, seeds.polls),
    "certificate": Target(services.certificate, seeds.certificates),
    "statement": Target(logs.statement, logs.statements),
    "checkpoint": Target(logs.signed_note, logs.signed_notes),
    "proof": Target(logs.entry_proof, logs.entry_proofs),
    "witness": Target(logs.witness_request, logs.witness_requests),
    "policy": Target(logs.policy, logs.policies),
    "tile": Target(logs.tile, logs.tiles),
}


def _faulty(data: bytes) -> None:
    if data[:1] == b"!":
        raise LookupError("an exception of another kind")


PROOF = {"faulty": Target(_faulty, lambda: [b"good"])}
"""A target with a fault, to show that faults are found."""
