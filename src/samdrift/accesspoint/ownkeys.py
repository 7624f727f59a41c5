"""The access point's own keys, of which there are several while its certificate is being replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509

from samdrift.wire.crypto.keys import DecryptionKey, SigningKey


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """The keys of every certificate that is not retired, the newest first; at least one.

    The newest signs. The others stay for as long as peers may still find their
    certificates in SMP, or have found them there.

    Clauses: transport-profile-as4 2.3.1 f.
    """

    signing: tuple[SigningKey, ...]
    decryption: tuple[DecryptionKey, ...]

    @property
    def newest(self) -> SigningKey:
        """What signs all that this access point says of itself."""
        return self.signing[0]

    def of(self, certificate: x509.Certificate) -> SigningKey:
        """What signs the receipt for a message that was encrypted for ``certificate``.

        Its sender found that one in SMP, and takes the receipt of no other
        (transport-profile-as4 2.10 a).
        """
        return next((key for key in self.signing if key.certificate == certificate), self.newest)


CurrentKeys = Callable[[], OwnKeys]
"""The keys of now: a certificate is replaced without a restart."""
