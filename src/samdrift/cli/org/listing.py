"""`samdrift org list`: organisations of the installation, including closed ones, with roles and states."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from samdrift.administration.administration import administering
from samdrift.administration.checklist import Facts, State, checklist
from samdrift.administration.readiness import gather, in_order, organisations_of
from samdrift.cli.org.options import AsJson, ConfigFile
from samdrift.cli.output import print_json, print_table
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.installation.loop import run
from samdrift.net.clock import system_clock
from samdrift.vault.closing import Closing
from samdrift.wire.identifiers import ParticipantIdentifier


def list_organisations(config: ConfigFile, as_json: AsJson = False) -> int:
    """Show every organisation of this installation, under-organisations below theirs, and closed ones.

    The federation is not contacted: samdrift org show does that for one organisation. Exit status 1 when
    something that can be determined locally is missing.
    """
    with reported_as_usage_errors():
        facts, closings = run(_known(load(config)))
    gone = {one.organisation for one in closings if one.ended_at}
    rows = [_row(one, gone) for one in in_order(facts)]
    if as_json:
        print_json({"organisations": rows, "closed": [_closed(one) for one in closings]})
    else:
        ended = [(str(one.organisation), "-", _ended(one), "-") for one in closings]
        print_table(("organisation", "name", "roles", "missing"), [*map(_cells, rows), *ended])
    return int(any(row["missing"] for row in rows))


async def _known(config: Config) -> tuple[list[Facts], tuple[Closing, ...]]:
    async with administering(config, changes=False) as installation:
        now = system_clock()
        facts = [await gather(installation, one, None, now) for one in organisations_of(installation)]
        return facts, await installation.provisioner.closings.all()


def _row(facts: Facts, gone: Collection[ParticipantIdentifier]) -> dict[str, Any]:
    """Return an organisation as a row; a closed one lacks nothing, even if its entry is still there."""
    closed = not facts.vaults and facts.organisation in gone
    missing = [item.name for item in checklist(facts) if item.state is State.MISSING and not closed]
    return {
        "organisation": facts.organisation.value,
        "name": facts.entry.name if facts.entry else None,
        "part_of": facts.entry.part_of.value if facts.entry and facts.entry.part_of else None,
        "roles": {role.value: state.value for role, state in facts.vaults.items()},
        "locked": [role.value for role in facts.locked],
        "missing": missing,
        "closed": closed,
    }


def _ended(closing: Closing) -> str:
    return f"closed {closing.ended_at:%Y-%m-%d}" if closing.ended_at else "being closed"


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    before = "  part " if row["part_of"] else ""
    roles = "  ".join(f"{role} {state}" for role, state in row["roles"].items()) or "no vault"
    if row["closed"]:
        roles = "closed here: remove its entry from the configuration"
    locked = "  unlocked by its officer" if row["locked"] else ""
    return (
        f"{before}{row['organisation']}",
        row["name"] or "-",
        f"{roles}{locked}",
        ", ".join(row["missing"]) or "-",
    )


def _closed(closing: Closing) -> dict[str, str | None]:
    ended = closing.ended_at.isoformat() if closing.ended_at else None
    return {
        "organisation": closing.organisation.value,
        "begun": closing.begun_at.isoformat(),
        "closed": ended,
    }
