"""An organisation's officers who decide about its logs: the text that two of them sign, and its check.

Who they are follows from the organisation's signed record, never from a file of the operator. Each signs the
decision with the OpenSSH key that is enrolled for them, on a machine of the organisation::

    ssh-keygen -Y sign -f KEY -n samdrift-log-resolution DOCUMENT

The operator can therefore carry out a decision, but not make one. The log records the document and both
signatures, which its readers verify with ``ssh-keygen -Y verify``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from samdrift.attestation.signatures import canonical
from samdrift.config.errors import Unusable, shown
from samdrift.installation.logturns import LogPlace
from samdrift.rights.consentfold import officers
from samdrift.rights.keyacts import Scheme
from samdrift.rights.record import Record
from samdrift.vault.logtree import OpenRefusal
from samdrift.wire.crypto.sshsig import verify

FORMAT = "samdrift log resolution 1"
NAMESPACE = "samdrift-log-resolution"
"""Purpose of an officer's signature (SSHSIG namespace)."""
MAX_DECISION = 300
"""Maximum length of a decision that officers sign: the whole document is one fact of the log."""
_MAX_FILE = 1 << 16


@dataclass(frozen=True, slots=True)
class Officers:
    """The officers of an organisation, such as ``person:kim``, by the public line of an OpenSSH key."""

    names: Mapping[str, str]

    @classmethod
    def of(cls, record: Record, moment: datetime) -> Officers | None:
        """Return who decides at ``moment`` by the record; ``None`` if it has no officers with keys.

        An officer with only a passkey cannot sign this text, and keeps custodians from deciding all the same.
        """
        able = officers(record, moment)
        keys = [each for each in record.keys.in_force(moment) if each.act.to in able]
        names = {each.key.public: str(each.act.to) for each in keys if each.key.scheme is Scheme.SSH}
        return cls(names) if able else None

    def agreed(
        self, document: bytes, signatures: Sequence[Path], read: Callable[[Path], str] | None = None
    ) -> tuple[str, str, Mapping[str, str]]:
        """Return two signers' names and the proof for the log; :class:`Unusable` unless two have signed."""
        if len(set(self.names.values())) < 2:
            raise Unusable(
                "two officers sign with OpenSSH keys, but fewer have one enrolled: samdrift gov officer enrol"
            )
        found = {}
        for file in signatures:
            signature = (read or _text)(file)
            name = self._signer(document, signature)
            if name is None:
                raise Unusable(f"{shown(file)}: not an officer's valid signature over this decision")
            found[name] = "".join(signature.strip().split("\n")[1:-1])
        if len(found) < 2:
            raise Unusable("two different officers have to sign the decision")
        (first, one), (second, other), *_ = found.items()
        return first, second, {"document": document.decode(), "signed": one, "countersigned": other}

    def _signer(self, document: bytes, signature: str) -> str | None:
        for key, name in self.names.items():
            try:
                if verify(key, document, NAMESPACE, signature):
                    return name
            except ValueError:
                continue
        return None


def document(place: LogPlace, origin: str, refusal: OpenRefusal, decision: str) -> bytes:
    """Return the document that officers sign: the refusal that they decide about, and the decision."""
    if len(decision) > MAX_DECISION:
        raise Unusable(f"--decision: officers sign at most {MAX_DECISION} characters")
    return canonical(
        {
            "format": FORMAT,
            "organisation": "" if place.organisation is None else place.organisation.value,
            "role": "" if place.role is None else place.role.value,
            "origin": origin,
            "witness": refusal.witness.partition("+")[0],
            "reason": refusal.reason,
            "size": refusal.size,
            "seen": refusal.seen,
            "decision": decision,
        }
    )


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_MAX_FILE).decode("utf-8")
    except OSError as error:
        raise Unusable(f"{shown(file)}: cannot be read ({type(error).__name__})") from None
    except UnicodeDecodeError:
        raise Unusable(f"{shown(file)}: is not text") from None
