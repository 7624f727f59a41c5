"""Makes the vaults of an operator in an earlier version; run by that version's own program.

``python begun.py FOLDER`` reads the operator from standard input, in JSON, and prints the parts of schemas
that it knows.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from samdrift.contracts.principals import Role
from samdrift.demo import enrolment
from samdrift.demo.cast import DemoOperator, DemoOrganisation
from samdrift.federation.directory import FunctionalAddress
from samdrift.vault.database import migrations
from samdrift.vault.openkeys import open_keys
from samdrift.wire.identifiers import ParticipantIdentifier


def main(folder: Path, told: dict[str, Any]) -> dict[str, Any]:
    organisations = [
        DemoOrganisation(
            ParticipantIdentifier(each["identifier"]),
            each["name"],
            each["number"],
            FunctionalAddress(*each["mailbox"]),
            tuple(map(Role, each["roles"])),
        )
        for each in told["organisations"]
    ]
    settings = enrolment._settings(folder)
    keys = open_keys(settings, begin=True)
    operator = DemoOperator(told["folder"], told["party"], tuple(organisations))
    asyncio.run(enrolment._vaults(settings, keys, operator))
    vaults = {role.value: parts for role, parts in migrations.VAULT.items()}
    return {"registry": migrations.REGISTRY, "workers": migrations.WORKERS, "vaults": vaults}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), json.load(sys.stdin))))
