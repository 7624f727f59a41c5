"""The file that evidence is in: each byte of it matters, and a container may be around it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import random
import tarfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from samdrift.administration.administration import Administration
from samdrift.administration.evidence import NoAuthority, export_evidence
from samdrift.attestation.errors import MoveError
from samdrift.config.logs import LogsConfig
from samdrift.evidence.gathering import Order
from samdrift.evidence.verifying import verify_evidence_in
from tests.programs import requires
from tests.roles.stage import Stage
from tests.roles.test_evidence import opened, shown, trust_of
from tests.sizes import count, seed, soak
from tests.tsa import TimeStamps
from tests.unit.cli.commandline import in_process

__all__ = ["shown"]


def says(data: bytes) -> dict[str, bytes] | None:
    """Return the files of an archive, as another program reads it; ``None`` where it cannot."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            return {each.name: archive.extractfile(each).read() for each in archive}  # type: ignore[union-attr]
    except (tarfile.TarError, AttributeError, EOFError):
        return None


@soak
async def test_a_changed_byte_is_found_wherever_it_is(
    stage: Stage,
    shown: tuple[str, dict[str, Path]],
) -> None:
    """In a soak every byte, each with another one in its place; otherwise some, drawn from a seed.

    What holds all the same has the same files in it: a byte of the container's that no reader heeds.
    """
    path = shown[1]["agency"]
    whole, files, trust = path.read_bytes(), opened(path), trust_of(stage.agency)
    drawn = random.Random(seed(43))
    places = drawn.sample(range(len(whole)), count(60, len(whole)))
    unheeded = 0
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= drawn.randrange(1, 256)
        try:
            verdict = await verify_evidence_in(io.BytesIO(changed), trust)
        except MoveError:
            continue
        if verdict.valid:
            unheeded += 1
            assert says(bytes(changed)) == files, place
    assert unheeded < len(places) // 10


@requires("openssl", "openssl")
async def test_evidence_is_put_into_a_container_with_a_time_stamp(
    stage: Stage,
    shown: tuple[str, dict[str, Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message_id, _ = shown
    authority = TimeStamps(tmp_path / "tsa")
    member, gate = stage.habo, stage.habo.operator.gate
    order = Order(member.organisation, message_id, "anna", "complaint 7")
    without = Administration(member.config, gate._keys, cast(Any, None), gate)
    with pytest.raises(NoAuthority):
        await export_evidence(without, order, tmp_path / "none", stamped=True)
    trusted = authority.folder / "root.pem"
    logs = LogsConfig(time_stamps="https://tsa.example.se/", time_stamps_trust=trusted)
    installation = replace(without, config=replace(member.config, logs=logs))

    @contextlib.asynccontextmanager
    async def caller(config: object) -> AsyncIterator[TimeStamps]:
        yield authority

    monkeypatch.setattr("samdrift.administration.evidence.stamp_caller", caller)
    assert await export_evidence(installation, order, tmp_path / "evidence.asics", stamped=True)
    ended = await asyncio.to_thread(
        in_process, "evidence", "verify", tmp_path / "evidence.asics", "--tsa", trusted, "--json"
    )
    last = ended.document["findings"][-1]
    assert (ended.status, last["what"], last["holds"]) == (0, "time stamp", True)
    _, paths = shown
    plain = await asyncio.to_thread(
        in_process, "evidence", "verify", paths["habo"], "--tsa", trusted, "--json"
    )
    assert (plain.status, plain.document["findings"][-1]["holds"]) == (1, False)
