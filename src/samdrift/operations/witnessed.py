"""Cosignatures of an organisation's logs as they verify, for evidence that rests on no cell of a database.

A superuser of the database can write any row, and so any time at which a witness is said to have cosigned.
It has neither the log's key, which is in the key store, nor a witness's, which the log's policy names. So a
cosignature counts only if it verifies with those, over the root that the entries themselves give now. The
moment at which a witness was asked remains a cell: against a superuser, the clock is not judged.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from samdrift.administration.administration import Administration
from samdrift.administration.logs import Standing, opened
from samdrift.audit.notes import SignedCheckpoint, VerifierKey
from samdrift.audit.reading import Malformed, Unverified
from samdrift.installation.logkeeping import Policies, PolicyUnusable
from samdrift.keystore.keyfiles import KeyStoreError
from samdrift.vault.errors import VaultError
from samdrift.vault.logtree import GapInLog, LogTree, WitnessState

_NEVER = datetime.fromtimestamp(0, UTC)


class RootDiffers(Exception):
    """The entries of a log are not those that it signed and a witness cosigned."""


async def verified(installation: Administration, policies: Policies, found: Standing) -> Standing:
    """Return a log's standing with the witnesses of its policy, and only the cosignatures that verify.

    :class:`RootDiffers` if the entries do not give the root under a cosignature that verifies.
    """
    if found.state is None:
        return found
    kept = {each.witness: each for each in found.witnesses}
    try:
        keys = [member.key for member in policies.of(found.place)]
        async with opened(installation, found.place) as tree:
            notes = [await _note(tree, kept.get(str(key)), key, found.state.origin) for key in keys]
            sizes = {note.checkpoint.size for note in notes if note is not None}
            roots = await tree.roots(sizes)
    except GapInLog:
        raise RootDiffers from None
    except (PolicyUnusable, KeyStoreError, VaultError):
        return replace(found, witnesses=())
    if any(note is not None and roots[note.checkpoint.size] != note.checkpoint.root for note in notes):
        raise RootDiffers
    witnesses = [_state(kept.get(str(key)), key, note) for key, note in zip(keys, notes, strict=True)]
    return replace(found, witnesses=tuple(witnesses))


async def _note(
    tree: LogTree, said: WitnessState | None, witness: VerifierKey, origin: str
) -> SignedCheckpoint | None:
    """Return the checkpoint that a witness cosigned last; ``None`` unless both signatures verify."""
    if said is None:
        return None
    for kept in await tree.checkpoints(said.size - 1, 1):
        try:
            signed = SignedCheckpoint.parse(kept.last, tree.own_keys(origin), [witness])
        except (Malformed, Unverified):
            return None
        if witness in signed.cosigned:
            return signed
    return None


def _state(said: WitnessState | None, witness: VerifierKey, note: SignedCheckpoint | None) -> WitnessState:
    state = said or WitnessState(str(witness), 0, None, _NEVER, "was not asked")
    return replace(state, cosigned_at=None if note is None else note.cosigned[witness])
