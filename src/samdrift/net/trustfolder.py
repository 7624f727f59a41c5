"""Chain policies out of a folder of certificates, as an operator fills it from DIGG's chains.

``{purpose}/`` holds certificates in PEM or DER, where the purposes are
``access-point``, ``smp`` and ``organisation`` (transport-profile-as4 2.10 a, c, f,
transport-model-extended 2.6). Those that no other one there has issued are
anchors. Where there are issuers below them, only what these issued directly is
accepted; where there are none, any path to an anchor will do.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path

from cryptography import x509

from samdrift.contracts.discovery import CertificatePurpose
from samdrift.contracts.errors import Explained
from samdrift.net.following import Followed, folder_state
from samdrift.trust.chain import sorted_out
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
    """The folder does not say whom to trust; the text names the purpose and the file."""


def read_policies(folder: Path) -> Policies:
    """The policy of every purpose; :class:`TrustFolderError` when one has no anchor."""
    return {purpose: _policy(folder / purpose, uses) for purpose, uses in _KEY_USES.items()}


def followed_policies(folder: Path) -> Followed[Policies]:
    """The policies that ``folder`` holds now; as :func:`read_policies` for the first time.

    A folder that leaves a purpose without any certificate is one that is being
    filled: it changes nothing.
    """

    def state() -> Hashable:
        return tuple(folder_state(folder / purpose) for purpose in _KEY_USES)

    return Followed("trust folder", lambda: read_policies(folder), state, seldom=True)


def _policy(folder: Path, uses: KeyUses) -> ChainPolicy:
    anchors, issuers = sorted_out(_read(folder))
    if not anchors:
        raise TrustFolderError(f"no certificate for {folder.name}")
    return ChainPolicy(anchors, issuers, key_uses=uses)


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
