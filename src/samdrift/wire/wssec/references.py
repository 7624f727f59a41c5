"""A signed reference: what a signature says of one part, and what a receipt repeats of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignedReference:
    """One ``ds:Reference`` of a verified or freshly made signature.

    ``digest`` holds the raw bytes. ``xml`` is the reference in exclusive canonical form,
    to be copied into a receipt (as4-profile 5.1.8, NonRepudiationInformation).
    """

    uri: str
    digest: bytes
    transforms: tuple[str, ...]
    digest_algorithm: str
    xml: bytes

    @property
    def proof(self) -> tuple[str, str, bytes]:
        """What two references must agree in to mean the same signed bytes."""
        return self.uri, self.digest_algorithm, self.digest
