"""An organisation that leaves, and comes back to new vaults."""

from __future__ import annotations

import asyncio
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyrage
import pytest

from samdrift.administration.administration import Administration
from samdrift.administration.dualcontrol import TwoPersons
from samdrift.audit.notes import Note
from samdrift.contracts.principals import Role
from samdrift.portability.exporting import Exported, export
from samdrift.portability.importing import Imported, Order, take_in
from samdrift.vault.openkeys import open_keys
from samdrift.vault.registry import RegistrationState
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.movable import certify, fill
from tests.unit.audit.signing import ONE
from tests.vaults import NOW, Installation

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
PERSONS = TwoPersons("anna", "bertil")
Files = dict[str, bytes]


@dataclass
class Move:
    """An organisation to move, with an age key."""

    installation: Installation
    administration: Administration
    organisation: ParticipantIdentifier
    folder: Path
    key: pyrage.x25519.Identity

    async def certify(self) -> None:
        vault = self.installation.gate.registry.find(self.organisation, MT)
        assert vault is not None
        await asyncio.to_thread(certify, self.administration.keys, vault.vault)

    async def sign(self) -> None:
        """Sign a checkpoint of each log, with one witness's cosignature."""
        for role in Role:
            async with self.installation.open(self.organisation, role) as vault:
                await vault.tree.sign(NOW)
                state = await vault.tree.state()
                assert state.note is not None
                line = ONE.line(Note.parse(state.note).text)
                await vault.tree.answered(state, ONE.key, NOW, int(NOW.timestamp()), line, "")

    async def export(self, name: str = "export.age") -> Exported:
        to = [str(self.key.to_public())]
        return await export(self.administration, self.organisation, PERSONS, to, self.folder / name)

    async def leave(self) -> None:
        """Remove the organisation from the former supplier."""
        for role in Role:
            await self.installation.provisioner.drop(self.organisation, role)
        registry = self.installation.gate.registry
        async with asyncio.timeout(60):
            while any(registry.find(self.organisation, role) for role in Role):
                await asyncio.sleep(0.005)

    async def set_state(self, state: RegistrationState) -> None:
        registry = self.installation.gate.registry
        for role in Role:
            await self.installation.provisioner.set_state(self.organisation, role, state)
        async with asyncio.timeout(60):
            while any(registry.serves(self.organisation, role) is not (state == "active") for role in Role):
                await asyncio.sleep(0.005)

    def order(
        self, signer: str, name: str = "export.age", *, take_over: bool = False, digest: str | None = None
    ) -> Order:
        return Order(self.organisation, self.folder / name, [self.key], signer, "cecilia", take_over, digest)

    async def take_in(
        self, exported: Exported, name: str = "export.age", *, take_over: bool = False
    ) -> Imported:
        digest = exported.manifest_sha256 if take_over else None
        order = self.order(exported.signer, name, take_over=take_over, digest=digest)
        return await take_in(self.administration, order)

    def clear(self, name: str = "export.age") -> bytes:
        """Return the tar file in clear text."""
        return pyrage.decrypt((self.folder / name).read_bytes(), [self.key])

    def files(self, name: str = "export.age") -> Files:
        return untarred(self.clear(name))

    def pack(self, tar: bytes, name: str = "export.age") -> None:
        """Replace the export with another tar file, encrypted."""
        (self.folder / name).write_bytes(pyrage.encrypt(tar, [self.key.to_public()]))


def untarred(tar: bytes) -> Files:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return {each.name: archive.extractfile(each).read() for each in archive}  # type: ignore[union-attr]


async def moving(installation: Installation, folder: Path) -> Move:
    """Make a new organisation with some of everything, in vaults that are served."""
    organisation = await installation.organisation()
    keys = open_keys(installation.settings)
    config = cast(Any, SimpleNamespace(organisations=()))
    administration = Administration(config, keys, installation.provisioner, installation.gate)
    moved = Move(installation, administration, organisation, folder, pyrage.x25519.Identity.generate())
    await moved.certify()
    await fill(installation, organisation)
    return moved


@pytest.fixture
async def move(installation: Installation, tmp_path: Path) -> Move:
    return await moving(installation, tmp_path)
