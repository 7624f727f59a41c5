"""The one exception that everything inbound in AS4 ends in when it is not accepted."""

from __future__ import annotations

from typing import Self

from samdrift.wire.ebms.errors import EbmsError, EbmsErrorCode
from samdrift.wire.errors import WireError, WireFault

_CODES = {
    WireFault.NOT_XML: EbmsErrorCode.INVALID_HEADER,
    WireFault.FORBIDDEN_XML: EbmsErrorCode.INVALID_HEADER,
    WireFault.TOO_LARGE: EbmsErrorCode.OTHER,
    WireFault.TOO_DEEP: EbmsErrorCode.INVALID_HEADER,
    WireFault.UNKNOWN_ROOT: EbmsErrorCode.INVALID_HEADER,
    WireFault.STRUCTURE: EbmsErrorCode.INVALID_HEADER,
    WireFault.IDENTIFIER: EbmsErrorCode.VALUE_NOT_RECOGNIZED,
    WireFault.ALGORITHM: EbmsErrorCode.POLICY_NONCOMPLIANCE,
    WireFault.SIGNATURE: EbmsErrorCode.FAILED_AUTHENTICATION,
    WireFault.DECRYPTION: EbmsErrorCode.FAILED_DECRYPTION,
    WireFault.MIME: EbmsErrorCode.MIME_INCONSISTENCY,
    WireFault.COMPRESSION: EbmsErrorCode.DECOMPRESSION_FAILURE,
}
"""The answer to a fault of the layers below."""

_FAULTS = {
    EbmsErrorCode.MIME_INCONSISTENCY: WireFault.MIME,
    EbmsErrorCode.FAILED_AUTHENTICATION: WireFault.SIGNATURE,
    EbmsErrorCode.FAILED_DECRYPTION: WireFault.DECRYPTION,
    EbmsErrorCode.POLICY_NONCOMPLIANCE: WireFault.ALGORITHM,
    EbmsErrorCode.DECOMPRESSION_FAILURE: WireFault.COMPRESSION,
}


class As4Fault(WireError):
    """An inbound message or signal that is not accepted, with the ebMS error that answers it.

    ``detail`` is ours, holds no content and may be sent to the peer. ``ref_to_message_id``
    is the id of the message at fault once it is known; unverified before the signature is.
    """

    def __init__(
        self, error: EbmsErrorCode, detail: str, *, where: str = "", ref_to_message_id: str | None = None
    ) -> None:
        super().__init__(_FAULTS.get(error, WireFault.STRUCTURE), detail, where)
        self.error = error
        self.detail = str(self)
        self.ref_to_message_id = ref_to_message_id

    @classmethod
    def of(cls, error: WireError, ref_to_message_id: str | None = None) -> Self:
        """The fault that answers an error of a layer below."""
        code = error.error if isinstance(error, As4Fault) else _CODES[error.fault]
        return cls(code, error.text, where=error.where, ref_to_message_id=ref_to_message_id)

    def as_error(self) -> EbmsError:
        """The error to answer with."""
        return EbmsError.of(self.error, self.detail, self.ref_to_message_id)
