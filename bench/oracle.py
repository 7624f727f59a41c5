"""Timing of refusals: whether it distinguishes "cannot be decrypted" from "is not well-formed".

Envelopes are forged in pairs: one whose session key cannot be opened, and one that
decrypts to something other than XML. They are judged in turn, as a message service does,
without the database. Prints both medians, their ratio, and the effect size (Cohen's d).

    .venv/bin/python -m bench.oracle [--pairs 2000]
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
from time import perf_counter_ns

from tests.roles.letters import Envelope
from tests.unit.messageservice.test_lookups import ENCRYPTION
from tests.unit.messageservice.test_same_steps import changed

from samdrift.messageservice.incoming.judging import _open
from samdrift.messageservice.settings import OrganisationProfile
from samdrift.wire.crypto.keys import DecryptionKey
from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey
from samdrift.wire.envelope import verify
from samdrift.wire.identifiers import ParticipantIdentifier

KINDS = ("no such key", "not well-formed")
_PROFILE = OrganisationProfile(ParticipantIdentifier("0203:b.se"), "B", frozenset())


def timed(envelope: Envelope, keys: tuple[DecryptionKey, ...]) -> int:
    """Return the nanoseconds from a verified envelope to its judgement."""
    verified = verify(envelope.data).envelope
    if verified is None:
        raise ValueError("the forged envelope has no valid signature")
    begun = perf_counter_ns()
    locked = verified.unlock(keys, os.urandom)
    judgement = _open(locked, verified.header, _PROFILE)
    took = perf_counter_ns() - begun
    if not judgement.meaningless:
        raise ValueError("the forged envelope was answered")
    return took


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=2000)
    pairs: int = parser.parse_args().pairs
    keys = (SoftwareDecryptionKey(ENCRYPTION.private_key, ENCRYPTION.certificate),)
    found: dict[str, list[int]] = {kind: [] for kind in KINDS}
    for _ in range(pairs):
        for kind in random.sample(KINDS, len(KINDS)):
            found[kind].append(timed(changed(kind), keys))
    first, second = (_without_outliers(found[kind]) for kind in KINDS)
    medians = [statistics.median(each) for each in (first, second)]
    spread = ((statistics.variance(first) + statistics.variance(second)) / 2) ** 0.5
    effect = (statistics.fmean(first) - statistics.fmean(second)) / spread
    for kind, median in zip(KINDS, medians, strict=True):
        print(f"{kind:20} median {median / 1000:9.1f} µs")
    print(f"ratio {medians[0] / medians[1]:.4f}, effect size {effect:+.3f}, {pairs} pairs")


def _without_outliers(times: list[int]) -> list[int]:
    """Return the fastest 95 % of the times; the rest is due to other work on the machine."""
    return sorted(times)[: max(2, len(times) * 95 // 100)]


if __name__ == "__main__":
    main()
