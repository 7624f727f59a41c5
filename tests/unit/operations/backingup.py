"""An installation that is backed up, restored, and tried in a drill."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyrage

from samdrift.administration.administration import Administration
from samdrift.contracts.principals import Proof, ProofKind
from samdrift.evidence.trace import Asked
from samdrift.operations import backupset, drill
from samdrift.operations.backup import Made, create, signers
from samdrift.operations.backupset import BackupSet
from samdrift.operations.drill import Drilled
from samdrift.operations.restore import Restored, restore
from samdrift.vault.openkeys import open_keys
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.movable import fill
from tests.separation.vaultlogin import superuser
from tests.vaults import Installation

PROOF = Proof(ProofKind.SIGNATURE, "the text", "the signature")
ASKED = Asked("anna", "nightly", proof=PROOF)
_DATABASES = "SELECT datname FROM pg_database ORDER BY datname"


@dataclass
class Ground:
    """An installation that is backed up, one organisation in it, and an age key."""

    installation: Installation
    administration: Administration
    organisation: ParticipantIdentifier
    folder: Path
    key: pyrage.x25519.Identity

    async def create(self, only: ParticipantIdentifier | None = None) -> Made:
        to = [str(self.key.to_public())]
        return await create(self.administration, self.folder, to, ASKED, only)

    def read(self, folder: Path) -> BackupSet:
        return backupset.read(folder, signers(self.administration.keys, None))

    async def drill(self, made: Made) -> Drilled:
        (found,) = await drill.drill(
            self.administration, self.read(made.folder), [self.key], ASKED, self.organisation
        )
        return found

    async def databases(self) -> list[str]:
        return [name for (name,) in (await superuser(self.installation)).rows(_DATABASES)]

    def left_of_drills(self) -> list[Path]:
        return list(Path(self.installation.settings.objects).glob("drill-*/*"))

    async def restore(self, made: Made) -> Restored:
        backup = self.read(made.folder)
        return await restore(self.administration, backup, [self.key], ASKED, self.organisation)


def administration_of(installation: Installation) -> Administration:
    """Return the administration as commands have it, for an installation that runs already."""
    vaults = SimpleNamespace(objects=installation.settings.objects, s3=None)
    config = cast(Any, SimpleNamespace(vaults=vaults))
    keys = open_keys(installation.settings)
    return Administration(config, keys, installation.provisioner, installation.gate)


async def grounded(installation: Installation, folder: Path) -> Ground:
    """Make an organisation with some of everything, and a folder for its backups."""
    organisation = await installation.organisation()
    await fill(installation, organisation)
    folder.mkdir()
    administration, key = administration_of(installation), pyrage.x25519.Identity.generate()
    return Ground(installation, administration, organisation, folder, key)
