"""An evidence package verified by a stranger, with OpenSSL, Go, and the commands in its README."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, cast

from samdrift.administration.administration import Administration
from samdrift.administration.evidence import export_evidence
from samdrift.audit.notes import Note
from samdrift.contracts.messages import MessageStatus
from samdrift.contracts.principals import Role
from samdrift.evidence.gathering import Order
from tests.archives import unpack
from tests.interop.tlog.build import program
from tests.interop.tools import Unavailable, left_out
from tests.programs import found
from tests.roles.conftest import stage  # noqa: F401 - used as a fixture
from tests.roles.member import Member
from tests.roles.stage import Stage
from tests.unit.audit.signing import ONE
from tests.vaults import NOW

ROLES = (Role.MESSAGE_SERVICE, Role.ACCESS_POINT)


async def witnessed(member: Member, policies: Path) -> None:
    """Let a witness cosign a member's logs, and write for each log a policy that trusts this witness."""
    policies.mkdir(parents=True)
    for role in ROLES:
        async with member.open(role) as vault:
            state = await vault.tree.sign(NOW)
            assert state.note is not None
            line = ONE.line(Note.parse(state.note).text)
            await vault.tree.answered(state, ONE.key, NOW, 1_772_000_000, line, "")
            (key,) = [each.key for each in await vault.tree.keys()]
        (policies / role.value).write_text(f"log {key}\nwitness W {ONE.key}\nquorum W\n")


def commands(readme: str) -> list[str]:
    return [line.strip() for line in readme.splitlines() if line.startswith("    ")]


def walked(folder: Path, command: str) -> tuple[int, str]:
    path = f"{Path(str(found('go'))).parent}:{os.environ['PATH']}"
    environment = os.environ | {"GOTOOLCHAIN": "auto", "PATH": path}
    ended = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return ended.returncode, ended.stdout


async def test_the_commands_of_the_readme_say_that_a_package_holds(
    stage: Stage,  # noqa: F811
    tmp_path: Path,
) -> None:
    try:
        program("peer")  # raises unless Go and its modules are available
    except Unavailable as reason:
        left_out("Go", reason)
    member = stage.habo
    message = await member.send(stage.agency.address)
    assert await member.ends(message) is MessageStatus.ACCEPTED
    folder = tmp_path / "stranger"
    await witnessed(member, folder / "policies")
    gate = member.operator.gate
    installation = Administration(member.config, gate._keys, cast(Any, None), gate)
    assert await export_evidence(
        installation, Order(member.organisation, message, "anna", "test"), tmp_path / "package"
    )
    unpack(tmp_path / "package", folder)
    name = next(folder.glob("proofs/mt-*.entry")).stem
    said = []
    for command in commands((folder / "README.txt").read_text()):
        ended = walked(folder, command.replace("NAME", name))
        assert ended[0] == 0, (command, ended[1])
        said.append(ended[1])
    assert any("Verified OK" in each for each in said)
    assert any("README.txt: OK" in each for each in said)
    assert any(each.endswith("holds\n") and message in each for each in said)
    facts, entry = said[-2:]
    assert facts.strip() == entry.strip()

    changed = next(folder.glob("proofs/ap-*.facts"))
    changed.write_bytes(changed.read_bytes().replace(b'"at":"2', b'"at":"1'))
    assert walked(folder, "go run verify.go policies/*")[0] != 0
    (digests,) = [each for each in commands((folder / "README.txt").read_text()) if "sha256sum" in each]
    assert "FAILED" in walked(folder, digests)[1]
