"""The envelope between organisations: XHE under DIGG's profile (envelope-profile-xhe 1.0)."""

from samdrift.wire.envelope.header import EnvelopeHeader, ScopeCode
from samdrift.wire.envelope.reading import UnverifiedEnvelope, read, validate
from samdrift.wire.envelope.sealing import seal
from samdrift.wire.envelope.structure import HeaderScanner
from samdrift.wire.envelope.verifying import EnvelopeVerdict, VerifiedEnvelope, verify

__all__ = [
    "EnvelopeHeader",
    "EnvelopeVerdict",
    "HeaderScanner",
    "ScopeCode",
    "UnverifiedEnvelope",
    "VerifiedEnvelope",
    "read",
    "seal",
    "validate",
    "verify",
]
