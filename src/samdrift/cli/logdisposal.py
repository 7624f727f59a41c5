"""`samdrift log retention` and `dispose`: how long facts are kept, and the decision to dispose of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from samdrift.administration import logs
from samdrift.administration.administration import administering, record_command
from samdrift.administration.dualcontrol import Matter, two_persons
from samdrift.audit.events import Retention
from samdrift.cli.logrunning import Decision, RoleOption
from samdrift.cli.org.options import AsJson, ConfigFile, Organisation, one_line
from samdrift.cli.output import print_json, print_line, print_table
from samdrift.cli.persons import Actor, By, ByFile, Reason, With, WithFile, asked, present
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.reader import load
from samdrift.installation.logturns import LogPlace
from samdrift.installation.loop import run
from samdrift.net.clock import system_clock


def retention(
    organisation: Organisation,
    role: RoleOption,
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    as_json: AsJson = False,
) -> None:
    """Show for each class of a log's entries how long it is kept, and how many are older."""
    who = asked(by, reason)

    async def ask() -> dict[Retention, tuple[int, int, int]]:
        async with administering(load(config)) as installation:
            place = LogPlace(organisation, role)
            await record_command(installation, "log retention", who, organisation, (role,))
            await logs.require_log(installation, place)
            now = system_clock()
            moments = {each: logs.kept_until(each, now) for each in logs.KEPT_YEARS}
            async with logs.opened(installation, LogPlace(organisation, role)) as tree:
                return await tree.ages(moments)

    with reported_as_usage_errors():
        found = run(ask())
    rows = [
        {
            "class": each.name.lower(),
            "years": logs.KEPT_YEARS[each],
            "kept": kept,
            "older": older,
            "disposed": gone,
        }
        for each, (kept, older, gone) in found.items()
    ]
    if as_json:
        print_json({"classes": rows})
        return
    print_table(
        ("class", "kept years", "with facts", "of them older", "disposed of"),
        [[str(value) for value in row.values()] for row in rows],
    )


def dispose(
    organisation: Organisation,
    role: RoleOption,
    kind: Annotated[str, typer.Option("--class", help="transfer, reading, access or administration.")],
    decision: Decision,
    config: ConfigFile,
    by: By,
    other: With = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
    before: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="Facts from before this day (UTC); by default as log retention says."
        ),
    ] = None,
) -> None:
    """Dispose permanently of the facts of a class, as two custodians decide. Proofs stay unchanged."""
    text, which = one_line("--decision", decision), _class(kind)

    async def decide() -> int:
        async with administering(load(config)) as installation:
            place = LogPlace(organisation, role)
            await logs.require_log(installation, place)
            now = system_clock()
            moment = logs.kept_until(which, now) if before is None else before.replace(tzinfo=UTC)
            what = f"dispose of {kind} from before {moment:%Y-%m-%d} (UTC) in the log {role.value}: {text}"
            matter = Matter("log dispose", organisation.value, what)
            agreed = await two_persons(installation, matter, present(by, other, by_file, other_file))
            return await logs.dispose(installation, place, which, moment, text, agreed)

    with reported_as_usage_errors():
        gone = run(decide())
    print_line(f"{gone} entries of class {kind}: their facts are disposed of")


def _class(name: str) -> Retention:
    known = {each.name.lower(): each for each in logs.KEPT_YEARS}
    if name not in known:
        raise Unusable(f"--class must be one of {', '.join(known)}")
    return known[name]
