"""Trust policies from a folder of certificates, which the operator fills from DIGG's chains.

``{purpose}/`` holds certificates in PEM or DER, where the purposes are ``access-point``, ``smp`` and
``organisation`` (transport-profile-as4 2.10 a, c, f, transport-model-extended 2.6). Certificates that no
other in the folder has issued are anchors. If there are issuers below them, only certificates issued directly
by these, or by an anchor that has none below it, are accepted; otherwise, any path to an anchor is.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path

from cryptography import x509

from samdrift.contracts.discovery import CertificatePurpose
from samdrift.contracts.errors import Explained
from samdrift.net.following import Followed, folder_state
from samdrift.trust.chain import issuing, sorted_out
from samdrift.trust.keys import KeyMaterialError, certificates
from samdrift.trust.policy import SIGNS, SIGNS_AND_DECRYPTS, SIGNS_OR_DECRYPTS, ChainPolicy, KeyUses

Policies = Mapping[CertificatePurpose, ChainPolicy]
"""The trust policy for every purpose."""

_KEY_USES: Mapping[CertificatePurpose, KeyUses] = {
    CertificatePurpose.ACCESS_POINT: SIGNS_AND_DECRYPTS,
    CertificatePurpose.SMP: SIGNS,
    CertificatePurpose.ORGANISATION: SIGNS_OR_DECRYPTS,
}
_SUFFIXES = frozenset({".pem", ".cer", ".crt", ".der"})


class TrustFolderError(Explained, ValueError):
    """The folder does not define whom to trust; the text names the purpose and the file."""


def read_policies(folder: Path) -> Policies:
    """Return the policy of every purpose; raise :class:`TrustFolderError` if one has no anchor."""
    return {purpose: _policy(folder / purpose, uses) for purpose, uses in _KEY_USES.items()}


def followed_policies(folder: Path) -> Followed[Policies]:
    """Return the current policies in ``folder``; the first reading fails as :func:`read_policies` does.

    A purpose without any certificate means that the folder is still being filled: the previous policies stay
    in use.
    """

    def state() -> Hashable:
        return tuple(folder_state(folder / purpose) for purpose in _KEY_USES)

    return Followed("trust folder", lambda: read_policies(folder), state, seldom=True)


def _policy(folder: Path, uses: KeyUses) -> ChainPolicy:
    anchors, below = sorted_out(_read(folder))
    if not anchors:
        raise TrustFolderError(f"no certificate for {folder.name}")
    return ChainPolicy(anchors, issuing(anchors, below), key_uses=uses)


def _read(folder: Path) -> tuple[x509.Certificate, ...]:
    if not folder.is_dir():
        return ()
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)
    return tuple(certificate for file in files for certificate in _certificates(file))


def _certificates(file: Path) -> tuple[x509.Certificate, ...]:
    try:
        return certificates(file.read_bytes())
    except (OSError, KeyMaterialError):
        raise TrustFolderError(f"{file.parent.name}: {file.name} cannot be read") from None
