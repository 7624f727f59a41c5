"""`samdrift gov officer`: keys of the people who decide for an organisation."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.administration.administration import administering
from samdrift.administration.dualcontrol import Person, Persons
from samdrift.administration.governing import LASTS, Governance, new_person
from samdrift.cli.gov.basis import governed, record_of
from samdrift.cli.gov.signing import Out, Why, moment, numbered, own_key, propose, read_file, subject
from samdrift.cli.org.options import AsJson, ConfigFile, Organisation, one_line
from samdrift.cli.output import print_json, print_line, require_new
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
from samdrift.config.reader import load
from samdrift.contracts.principals import Purpose, Role
from samdrift.evidence.trace import Asked
from samdrift.governance.papercode import new_code, public_of
from samdrift.installation.loop import run
from samdrift.net.clock import system_clock
from samdrift.rights.enrolment import Enrolment
from samdrift.rights.fields import Subject
from samdrift.rights.keyacts import Enrolled, Lost, PublicKey, Scheme
from samdrift.rights.record import Record
from samdrift.rights.statements import Act, Ended, Right
from samdrift.wire.crypto.sshsig import SshKey
from samdrift.wire.identifiers import ParticipantIdentifier

app = typer.Typer(add_completion=False, no_args_is_help=True)

_ROLES = {each.value: each for each in (Right.ADMINISTRATOR, Right.SECURITY_OFFICER)}
By = Annotated[
    str, typer.Option("--by", help="The person who asks and signs, person:ID; or the first custodian's name.")
]
Key = Annotated[
    str,
    typer.Argument(metavar="KEY", help="At least 8 digits of the fingerprint (samdrift gov officer list)."),
]


@app.callback()
def officer() -> None:
    """Enrol, list and end the keys with which people sign their decisions."""


@app.command()
def enrol(
    organisation: Organisation,
    name: Annotated[str, typer.Option("--name", help="The person's name.")],
    by: By,
    config: ConfigFile,
    key: Annotated[
        Path | None, typer.Option("--key", help="The person's public key, a file like id_ed25519.pub.")
    ] = None,
    offered: Annotated[
        str,
        typer.Option("--offered", help="The passkey that this person offers on their own page, by its id."),
    ] = "",
    person: Annotated[
        str, typer.Option("--person", help="The person's id where there is one; otherwise a new one.")
    ] = "",
    role: Annotated[
        str,
        typer.Option("--role", help="Role to grant with the key: administrator or security-officer."),
    ] = "",
    paper: Annotated[bool, typer.Option("--paper", help="The key belongs to a code on paper.")] = False,
    why: Why = "gov officer enrol",
    out: Annotated[
        Path | None, typer.Option("--out", help="A new file, to be signed by the requesting officer.")
    ] = None,
    other: With = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
    prepared_by: PreparedBy = None,
) -> None:
    """Enrol a person's key: the first ones by two custodians, others by two officers of the organisation.

    With --out an officer requests it: that officer signs the file and appends it, and another approves.
    """
    with reported_as_usage_errors():
        if (key is None) == (not offered) or (offered and (person or paper)):
            raise Unusable("one of --key and --offered is required; --person and --paper go with --key")
        named = one_line("--name", name)
        if key is not None:
            public = _public_key(key, paper=paper)
            to = subject("--person", person) if person else new_person()
        else:
            to = subject("--offered", offered)
            public = run(_offered(config, organisation, to, preparing(prepared_by, why)))
        if out is not None:
            if role:
                raise Unusable("--role goes with custodians: an officer asks for it by samdrift gov grant")
            propose(config, organisation, by, why, _enrolling(to, named, public), out, prepared_by)
            return
        given = _role(role)
        persons = present(by, other, by_file, other_file)
        made = run(_brought_in(config, organisation, to, named, public, given, persons))
    print_line(f"{made.act.to}  {made.act.name}  {made.key.fingerprint}")
    begins = made.begins
    if begins is not None and begins > system_clock():
        print_line(f"begins {begins:%Y-%m-%d %H:%M} UTC, since people of the organisation have keys")


@app.command()
def confirm(
    organisation: Organisation,
    of: Annotated[str, typer.Argument(metavar="STATEMENT", help="The number of the officer's request.")],
    by: Annotated[str, typer.Option("--by", help="The custodian who approves it.")],
    config: ConfigFile,
    by_file: ByFile = None,
) -> None:
    """Approve an officer's signed request as a custodian, if there is no second officer."""
    with reported_as_usage_errors():
        person = Person(by, passphrase(f"Passphrase of {by}", by_file))

        async def approve() -> int:
            async with administering(load(config)) as installation:
                governance = Governance(installation, organisation)
                digest = numbered(await governance.read(), of)
                return (await governance.confirm(digest, person))[-1].number

        number = run(approve())
    print_line(f"statement {number}: approved")


@app.command("list")
def list_officers(
    organisation: Organisation, config: ConfigFile, reason: Reason, by: Actor = None, as_json: AsJson = False
) -> None:
    """Show every enrolled or requested key: its person, when it begins and ends, and its statements."""
    with reported_as_usage_errors():
        record = run(record_of(config, organisation, "officer list", asked(by, reason)))
    now = system_clock()
    rows = [_row(each, record, now) for each in record.keys.all()]
    if as_json:
        print_json({"officers": rows})
        return
    for row in rows:
        print_line(
            f"{row['person']}  {row['name']}  {row['scheme']}  {row['key'][:16]}  {row['state']}"
            f"  until {row['until'][:10]}"
        )


@app.command()
def end(
    organisation: Organisation,
    key: Key,
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    prepared_by: PreparedBy = None,
) -> None:
    """End a key, which its person or an officer signs."""
    with reported_as_usage_errors():
        propose(
            config,
            organisation,
            by,
            why,
            lambda record, at: Ended(of=own_key(record.keys, key)),
            out,
            prepared_by,
        )


@app.command()
def lost(
    organisation: Organisation,
    key: Key,
    by: By,
    config: ConfigFile,
    out: Out,
    why: Why,
    since: Annotated[
        str, typer.Option("--since", help="When the key was last seen: a day, or a time with its zone.")
    ],
    prepared_by: PreparedBy = None,
) -> None:
    """State that a key is lost: signatures from then on are invalid, and it cannot be restored."""
    with reported_as_usage_errors():
        when = min(moment("--since", since), system_clock().replace(microsecond=0))
        propose(
            config,
            organisation,
            by,
            why,
            lambda record, at: Lost(own_key(record.keys, key), when),
            out,
            prepared_by,
        )


@app.command()
def code(
    out: Annotated[Path, typer.Option("--out", help="The file for the public key; it must not exist.")],
) -> None:
    """Make a code on paper, for use when a person has lost all other keys.

    The code is shown once and not stored. Enrol its public key with --paper.
    """
    require_new(out)
    made = new_code()
    out.write_text(public_of(made) + "\n")
    print_line("Write this code on paper, and keep it where your other keys are not:")
    print_line(f"  {made}")
    print_line(f"its public key is in {shown(out)}")


async def _brought_in(
    config: Path,
    organisation: ParticipantIdentifier,
    to: Subject,
    name: str,
    key: PublicKey,
    role: Right | None,
    persons: Persons,
) -> Enrolment:
    """Enrol a key with two custodians' signatures, and return its enrolment."""
    async with administering(load(config)) as installation:
        governance = Governance(installation, organisation)
        await governance.bring_in(to, name, key, role, persons)
        return (await governance.read()).keys.of_key(key.fingerprint)[-1]


async def _offered(
    config: Path, organisation: ParticipantIdentifier, person: Subject, who: Asked
) -> PublicKey:
    """Return the passkey that a person offers on their own page."""
    async with governed(config, organisation, "officer enrol", who) as governance:
        gate = governance.installation.gate
        async with gate.worker("officers", Role.GOVERNANCE).open(organisation, Purpose.ADMINISTER) as vault:
            for each in await vault.offered_keys():
                if each.person == person.id:
                    return PublicKey.parse(each.key)
    raise Unusable("that person offers no key: they must sign in and make one on their own page")


def _enrolling(to: Subject, name: str, key: PublicKey) -> Any:
    def act(record: Record, at: datetime) -> Act:
        return Enrolled(to, name, key, at + LASTS)

    return act


def _public_key(file: Path, *, paper: bool) -> PublicKey:
    """Read a public key in OpenSSH format, without its comment."""
    try:
        line = " ".join(read_file(file).decode("ascii").split()[:2])
        SshKey.parse(line)
    except ValueError:
        raise Unusable(f"{shown(file)}: is not a public key of ssh-keygen, Ed25519 or ECDSA") from None
    return PublicKey(Scheme.PAPER if paper else Scheme.SSH, line)


def _role(text: str) -> Right | None:
    if text and text not in _ROLES:
        raise Unusable(f"--role must be one of {', '.join(_ROLES)}")
    return _ROLES[text] if text else None


def _row(one: Enrolment, record: Record, now: datetime) -> dict[str, Any]:
    waiting, later = one.begins is None, one.begins is not None and one.begins > now
    state = "in force" if one.in_force(now) else "begins later" if later else "waits" if waiting else "over"
    if one.over:
        state = "lost" if one.lost_since is not None else "ended"
    return {
        "person": str(one.act.to),
        "name": one.act.name,
        "scheme": one.key.scheme.value,
        "key": one.key.fingerprint,
        "public": one.key.public,
        "state": state,
        "begins": "" if one.begins is None else one.begins.isoformat(),
        "until": one.act.end.isoformat(),
        "lost_since": "" if one.lost_since is None else one.lost_since.isoformat(),
        "statements": list(one.statements),
        "officer": record.state.is_officer(one.act.to, now),
    }
