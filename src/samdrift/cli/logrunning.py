"""`samdrift log status`, `checkpoint` and `resolve`: the logs of a running installation."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.administration import logs, officers
from samdrift.administration.administration import Administration, administering, record_command
from samdrift.administration.dualcontrol import Matter, Persons, TwoPersons, custodians_of, two_persons
from samdrift.cli.inputs import read_input
from samdrift.cli.org.options import (
    AsJson,
    ConfigFile,
    FormerOrganisation,
    OnlyOrganisation,
    Organisation,
    named,
    one_line,
)
from samdrift.cli.output import print_json, print_line, print_verdict
from samdrift.cli.persons import (
    Actor,
    ByFile,
    PreparedBy,
    Reason,
    With,
    WithFile,
    asked,
    passphrase,
    preparing,
    present,
)
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.governance.records import Records
from samdrift.installation.logturns import LogPlace
from samdrift.installation.loop import run
from samdrift.keystore.custody import Custodian
from samdrift.keystore.durablefiles import write_new
from samdrift.net.clock import system_clock
from samdrift.rights.consentfold import moment_of
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.logtree import SigningStopped
from samdrift.wire.identifiers import ParticipantIdentifier

_MAX_SIGNATURE = 1 << 16
RoleOption = Annotated[Role, typer.Option("--role", help="The role whose log it is.")]
StatedBy = Annotated[
    str | None, typer.Option("--custodian", help="The custodian who states that a new key is this log's.")
]
StatedByFile = Annotated[
    Path | None,
    typer.Option(
        "--custodian-passphrase-file",
        help="A file with that passphrase, for scripts; otherwise it is asked for at the terminal.",
    ),
]
AskedBy = Annotated[
    str | None, typer.Option("--by", help="The custodian who asks, where no officers have keys.")
]
Decision = Annotated[str, typer.Option("--decision", help="The decision and its reason, in one line.")]


def status(
    config: ConfigFile,
    reason: Reason,
    organisation: OnlyOrganisation = None,
    by: Actor = None,
    as_json: AsJson = False,
    former: FormerOrganisation = None,
) -> int:
    """Show each log's name, key, last checkpoint and witnesses. Exit status 1 if one needs attention."""
    organisation, who = named(organisation, former), asked(by, reason)

    async def ask(loaded: Config) -> list[logs.Standing]:
        async with administering(loaded) as installation:
            await record_command(installation, "log status", who, organisation)
            places = _known(logs.logs_of(installation, organisation))
            return [await logs.standing(installation, place) for place in places]

    with reported_as_usage_errors():
        loaded = load(config)
        found = run(ask(loaded))
    return _shown(found, loaded, as_json=as_json)


def checkpoint(
    config: ConfigFile,
    reason: Reason,
    organisation: OnlyOrganisation = None,
    by: Actor = None,
    custodian: StatedBy = None,
    custodian_file: StatedByFile = None,
    as_json: AsJson = False,
    former: FormerOrganisation = None,
) -> int:
    """Sign an organisation's logs now, or all, have them witnessed, and state that new keys are its own.

    The organisation's certificate states its keys if its message service is here; otherwise a custodian does,
    with --custodian. Exit status 1 if a log needs attention.
    """
    organisation, who = named(organisation, former), asked(by, reason)

    async def sign(loaded: Config) -> list[logs.Standing]:
        async with administering(loaded) as installation:
            await record_command(installation, "log checkpoint", who, organisation)
            places = _known(logs.logs_of(installation, organisation))
            stating = None
            if custodian is not None:
                secret = passphrase(f"Passphrase of {custodian}", custodian_file)
                known = custodians_of(installation)
                stating = await asyncio.to_thread(known.prove, custodian, secret)
            return [await _signed(installation, place, stating) for place in places]

    with reported_as_usage_errors():
        loaded = load(config)
        found = run(sign(loaded))
    return _shown(found, loaded, as_json=as_json)


def resolve(
    organisation: Organisation,
    role: RoleOption,
    decision: Decision,
    config: ConfigFile,
    by: AskedBy = None,
    other: With = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
    to_sign: Annotated[
        Path | None,
        typer.Option("--to-sign", help="A new file for the text that two officers sign; nothing is decided."),
    ] = None,
    signed: Annotated[
        list[Path], typer.Option("--signed", help="An officer's signature under it; two are needed.")
    ] = [],  # noqa: B006
    prepared_by: PreparedBy = None,
) -> None:
    """Record two people's decision about a log that a witness refused; it continues under another name.

    The two are the organisation's own officers, if its signed record has any; they use ssh-keygen to sign a
    decision that one of the operator's staff prepares and carries out. Otherwise they are two custodians.
    """
    text = one_line("--decision", decision)
    with reported_as_usage_errors():
        loaded = load(config)
        signatures = {each: read_input(each, _MAX_SIGNATURE).decode("utf-8", "replace") for each in signed}
        prepared = to_sign is not None or bool(signed)
        preparer = preparing(prepared_by, decision, "--decision") if prepared else None

    async def decide() -> str | None:
        async with administering(loaded) as installation:
            if preparer is not None:
                await record_command(installation, "log resolve", preparer, organisation, (role,))
            place = LogPlace(organisation, role)
            _known([each for each in logs.logs_of(installation, organisation) if each == place])
            origin, refusal = await logs.require_refusal(installation, place)
            known = await _officers(installation, organisation, prepared=prepared)
            proof: Mapping[str, str] = {}
            if known is None:
                if by is None:
                    raise Unusable("--by: two custodians decide about this log")
                persons = present(by, other, by_file, other_file)
                agreed = await _custodians_agree(installation, organisation, role, text, persons)
            else:
                document = officers.document(place, origin, refusal, text)
                if to_sign is not None:
                    _write(to_sign, document)
                    return None
                first, second, proof = known.agreed(document, signed, signatures.__getitem__)
                agreed = TwoPersons(first, second)
            return await logs.resolve(installation, place, text, agreed, system_clock(), proof)

    with reported_as_usage_errors():
        renamed = run(decide())
    if renamed is None:
        print_line(f"two officers sign it: ssh-keygen -Y sign -n {officers.NAMESPACE} -f KEY {to_sign}")
        return
    print_line(f"the log goes on as {renamed}; enter that name and its key at the witnesses")
    print_line("its key: samdrift log status")


async def _custodians_agree(
    installation: Administration,
    organisation: ParticipantIdentifier,
    role: Role,
    decision: str,
    persons: Persons,
) -> TwoPersons:
    """Require two custodians to agree that a refused log continues under another name."""
    what = f"sign the log {role.value} of {organisation.value} under another name: {decision}"
    return await two_persons(installation, Matter("log resolve", organisation.value, what), persons)


async def _officers(
    installation: Administration, organisation: ParticipantIdentifier, *, prepared: bool
) -> officers.Officers | None:
    """Return the officers by the organisation's signed record; ``None`` if custodians decide in their place.

    Raise :class:`Unusable` if a decision was ``prepared`` for the others.
    """
    record, witnessed = await Records(installation.gate, system_clock).read_with_time(organisation)
    found = officers.Officers.of(record, moment_of(record, system_clock(), witnessed))
    if found is None and prepared:
        raise Unusable(f"{organisation} has no officers with keys: custodians decide, with --by")
    if found is not None and not prepared:
        raise Unusable(f"officers of {organisation} decide: use --to-sign, and then --signed")
    return found


def _write(file: Path, document: bytes) -> None:
    if not write_new(file, document):
        raise Unusable(f"{shown(file)}: already exists")


async def _signed(
    installation: Administration, place: LogPlace, custodian: Custodian | None
) -> logs.Standing:
    try:
        return await logs.checkpoint(installation, place, custodian)
    except (SigningStopped, VaultUnavailable):
        return await logs.standing(installation, place)


def _known(places: Any) -> tuple[LogPlace, ...]:
    if not places:
        raise Unusable("that organisation has no such log in this installation")
    return tuple(places)


def _shown(found: list[logs.Standing], config: Config, *, as_json: bool) -> int:
    now, cadence = datetime.now(UTC), timedelta(seconds=config.logs.checkpoint_seconds)
    rows = [_row(each, each.faults(now, cadence), now) for each in found]
    if as_json:
        print_json({"logs": rows})
    else:
        for row in rows:
            _print(row)
    return 1 if any(row["faults"] for row in rows) else 0


def _row(each: logs.Standing, faults: list[str], now: datetime) -> dict[str, Any]:
    place, state = each.place, each.state
    row: dict[str, Any] = {
        "organisation": _whose(place.organisation),
        "role": None if place.role is None else place.role.value,
        "faults": faults,
    }
    if state is None:
        return row
    return row | {
        "origin": state.origin,
        "key": state.key,
        "stated": state.stated,
        "size": state.size,
        "signed": state.signed,
        "signed_at": None if state.signed_at is None else state.signed_at.isoformat(),
        "checked_at": None if state.checked_at is None else state.checked_at.isoformat(),
        "refused_by": None if state.refusal is None else state.refusal.witness.partition("+")[0],
        "witnesses": [
            {
                "name": one.witness.partition("+")[0],
                "size": one.size,
                "cosigned_seconds_ago": None
                if one.cosigned_at is None
                else max(0, int(now.timestamp()) - one.cosigned_at),
                "fault": one.fault,
            }
            for one in each.witnesses
        ],
    }


def _print(row: dict[str, Any]) -> None:
    name = " ".join(filter(None, (row["organisation"] or "operator", row["role"])))
    if "origin" in row:
        print_line(f"{name}: {row['origin']}, {row['size']} entries, {row['signed'] or 0} signed")
        print_line(f"  key: {row['key']}{'' if row['stated'] else ' (not stated yet)'}")
        for one in row["witnesses"]:
            age = one["cosigned_seconds_ago"]
            when = "never cosigned" if age is None else f"cosigned {one['size']} entries {age} s ago"
            print_line(f"  witness {one['name']}: {when}{'; ' + one['fault'] if one['fault'] else ''}")
    for fault in row["faults"] or ["in order"]:
        print_verdict(f"  {name}: " if "origin" in row else f"{name}: ", fault, good=not row["faults"])


def _whose(organisation: ParticipantIdentifier | None) -> str | None:
    return None if organisation is None else organisation.value
