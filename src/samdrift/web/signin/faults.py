"""Reasons for failed sign-ins, for the organisation's log; the person is not shown them."""

from __future__ import annotations

from enum import StrEnum

from samdrift.contracts.errors import Explained
from samdrift.web.texts import Phrase


class Fault(StrEnum):
    """Reason why a sign-in or a logout notice failed."""

    UNSOLICITED = "an answer that was not asked for in this browser"
    LATE = "an answer that came too late"
    STATE = "the state differs from the one sent"
    ISSUER_OF_ANSWER = "an answer from another issuer"
    REFUSED = "the sign-in service did not sign the person in"
    CODE = "the code was not redeemed"
    TOKEN = "the token is malformed"  # noqa: S105
    ALGORITHM = "the token's algorithm is not accepted"
    ISSUER = "the token is another issuer's"
    SIGNATURE = "the token's signature is invalid"
    AUDIENCE = "the token is for another client"
    TIME = "the token is not valid at this time"
    NONCE = "the token is for another sign-in"
    LEVEL = "the level of assurance is not accepted"
    AUTHENTICATION_TIME = "the person authenticated too long ago"
    CLAIMS = "the token lacks a claim or has an unusable one"
    REPLAYED = "a sign-in that already began a session"
    EVENT = "the token is not a notice of logout"
    ANSWER = "the answer cannot be read"
    SIGNED_BY = "the answer is not signed by the sign-in service"
    CIPHER = "the answer's algorithm is not accepted"
    DECRYPTION = "the assertion cannot be decrypted"
    UNENCRYPTED = "the assertion is not encrypted"
    DESTINATION = "the answer is for another address"
    REQUEST = "the answer is to another request"
    ASSERTED_BY = "the assertion is another issuer's"
    ADDRESSEE = "the assertion is for another service"
    BEARER = "the assertion is not for the person presenting it now"
    PERIOD = "the assertion is not valid at this time"
    STATEMENT = "the assertion does not say how the person signed in"
    SUBJECT = "the assertion does not name the person as agreed"
    PERSON = "the person is not one of those who may sign in here"
    NO_CERTIFICATE = "no certificate was shown"
    CERTIFICATE_ISSUER = "the certificate is another issuer's"
    CERTIFICATE_PERIOD = "the certificate is not valid at this time"
    REVOKED = "the certificate is revoked"
    REVOCATION_UNKNOWN = "no revocation list of the certificate's issuer is in force"


class SignInFailed(Explained):
    """A failed sign-in or logout notice; ``fault`` is for the log.

    ``advice`` is shown to people who have identified themselves and can correct the fault.
    """

    def __init__(self, fault: Fault, advice: Phrase | None = None) -> None:
        super().__init__(f"sign-in: {fault}")
        self.fault = fault
        self.advice = advice
