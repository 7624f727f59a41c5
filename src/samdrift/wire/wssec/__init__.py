"""WS-Security 1.1 as eDelivery AS4 uses it: signature and encryption of SOAP with one attachment."""

from samdrift.wire.wssec.references import SignedReference

__all__ = ["SignedReference"]
