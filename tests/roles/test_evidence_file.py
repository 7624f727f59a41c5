"""The file format of evidence: each byte of it matters, and a container may be around it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.hashes import SHA256

from samdrift.administration.administration import Administration
from samdrift.administration.evidence import NoAuthority, TooLarge, export_evidence
from samdrift.config.logs import LogsConfig
from samdrift.evidence.gathering import Order
from samdrift.evidence.verifying import verify_evidence
from tests.programs import requires
from tests.roles.changedbytes import Verifier
from tests.roles.stage import Stage
from tests.roles.test_evidence import policy_of, shown
from tests.sizes import count, seed, soak
from tests.tsa import TimeStamps
from tests.unit.cli.commandline import in_process

__all__ = ["shown"]

_FEW = 1000
"""Number of changes that one process tries by itself."""


@soak
@pytest.mark.parametrize("name", ["habo", "agency"])
async def test_a_changed_byte_is_found_wherever_it_is(
    stage: Stage, shown: tuple[str, dict[str, Path]], name: str
) -> None:
    """A soak changes every byte, each to one other value; otherwise a random sample from a seed is changed.

    One verifier knows the signer's certificate and has a policy, the other one trusts its issuer. Every
    byte has a meaning: headers of files must be the writer's own, padding must be zeros, and the
    certificate, which is not signed, must be canonical PEM.
    """
    whole = shown[1][name].read_bytes()
    if name == "habo":
        signer = (await verify_evidence(shown[1][name], None)).signer
        verifier = Verifier(whole, None, signer.fingerprint(SHA256()).hex(), await policy_of(stage.habo))
    else:
        verifier = Verifier(whole, stage.agency.config.federation.trust / "organisation")
    drawn = random.Random(f"{seed(43)} {name}")
    places = drawn.sample(range(len(whole)), count(60, len(whole)))
    changes = [(place, drawn.randrange(1, 256)) for place in places]
    if len(changes) < _FEW:
        assert await asyncio.to_thread(verifier.holding, changes) == []
        return
    for tried, held in await asyncio.to_thread(list, verifier.holding_by_many(changes)):
        assert held == [], f"a change was not found among the first {tried}"
    print(f"{len(changes)} bytes of the evidence of {name}, each changed and found")


def stamping(stage: Stage, folder: Path, patch: pytest.MonkeyPatch) -> tuple[Administration, Path]:
    """Return an installation with a time stamp authority, and the authority's certificate."""
    authority, without = TimeStamps(folder / "tsa"), administration(stage)
    trusted = authority.folder / "root.pem"
    logs = LogsConfig(time_stamps="https://tsa.example.se/", time_stamps_trust=trusted)

    @contextlib.asynccontextmanager
    async def caller(config: object) -> AsyncIterator[TimeStamps]:
        yield authority

    patch.setattr("samdrift.administration.evidence.stamp_caller", caller)
    return replace(without, config=replace(without.config, logs=logs)), trusted


def administration(stage: Stage) -> Administration:
    member, gate = stage.habo, stage.habo.operator.gate
    return Administration(member.config, gate._keys, cast(Any, None), gate)


@requires("openssl", "openssl")
async def test_evidence_is_put_into_a_container_with_a_time_stamp(
    stage: Stage,
    shown: tuple[str, dict[str, Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = Order(stage.habo.organisation, shown[0], "anna", "complaint 7")
    with pytest.raises(NoAuthority):
        await export_evidence(administration(stage), order, tmp_path / "none", stamped=True)
    installation, trusted = stamping(stage, tmp_path, monkeypatch)
    assert await export_evidence(installation, order, tmp_path / "evidence.asics", stamped=True)
    trust = ("--trust", stage.habo.config.federation.trust / "organisation")
    ended = await asyncio.to_thread(
        in_process, "evidence", "verify", tmp_path / "evidence.asics", "--tsa", trusted, *trust, "--json"
    )
    last = ended.document["findings"][-1]
    assert (ended.status, last["what"], last["holds"]) == (0, "time stamp", True)
    _, paths = shown
    plain = await asyncio.to_thread(
        in_process, "evidence", "verify", paths["habo"], "--tsa", trusted, "--json"
    )
    assert (plain.status, plain.document["findings"][-1]["holds"]) == (1, False)


@requires("openssl", "openssl")
async def test_evidence_that_no_one_could_read_in_a_container_is_not_put_into_one(
    stage: Stage,
    shown: tuple[str, dict[str, Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A section of a long log can be larger than what ``evidence verify`` reads."""
    order = Order(stage.habo.organisation, shown[0], "anna", "complaint 7", section=True)
    installation, _ = stamping(stage, tmp_path, monkeypatch)
    out = tmp_path / "evidence.asics"
    monkeypatch.setattr("samdrift.administration.evidence.MAX_EVIDENCE", 100_000)
    with pytest.raises(TooLarge, match="without --section"):
        await export_evidence(installation, order, out, stamped=True)
    assert not out.exists()
    assert await export_evidence(installation, order, out)
    assert out.stat().st_size > 100_000
