"""`samdrift org keys`: an organisation's keys, from the certificate request to their end.

A key is made, certified, used from a day on, and published so that peers find it (`list`, `create`,
`install`, `activate`, `publish`; for all keys of a new organisation together, `create-all` and
`install-all`). At its end it is revoked or destroyed (`revoke`, `retire`). `rotate-data-key` replaces the key
that encrypts stored content, and `rotate-log-key` the one that signs the log.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from samdrift.administration.administration import Administration, administering
from samdrift.administration.dualcontrol import Matter, two_persons
from samdrift.administration.events import AdminEvent
from samdrift.administration.keyholder import issuers, subject
from samdrift.administration.publication import Publication, document, documents, swedish, to_publish
from samdrift.cli.inputs import read_input
from samdrift.cli.org import keybackup
from samdrift.cli.org.events import OrgEvent
from samdrift.cli.org.keyoptions import From, Key, Number, Which, Workplace, log_key_words, worked
from samdrift.cli.org.options import (
    AsJson,
    ConfigFile,
    FormerOrganisation,
    OnlyOrganisation,
    Organisation,
    named,
    one_line,
)
from samdrift.cli.output import print_json, print_line, print_rows, print_text, require_new
from samdrift.cli.persons import Acting, Actor, By, ByFile, With, WithFile, acting, present
from samdrift.cli.published import REPLACE_FIRST, Anyway, still_named
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.inputs import read_certificates, read_time
from samdrift.config.reader import load
from samdrift.contracts.principals import Principal, PrincipalKind, Role
from samdrift.installation.keyrows import PURPOSES, KeyRow, Standing, key_rows, not_used
from samdrift.installation.loop import run
from samdrift.keystore.interface import HeldKey
from samdrift.keystore.keyfiles import KeyName
from samdrift.trust.keycertificate import Expected, Flaw, judge
from samdrift.wire.crypto.certificates import fingerprint
from samdrift.wire.identifiers import ParticipantIdentifier

app = typer.Typer(add_completion=False)
_THERE = (Standing.IN_USE, Standing.PLANNED, Standing.WAITS)
"""Standings of a key that does not need a successor yet."""


@app.callback()
def keys() -> None:
    """Manage an organisation's keys: create, certify, activate, publish, replace, revoke and destroy them."""


@app.command("list")
def list_keys(
    config: ConfigFile,
    organisation: OnlyOrganisation = None,
    as_json: AsJson = False,
    former: FormerOrganisation = None,
) -> int:
    """Show the state of the keys of one organisation or of all. Exit status 1 if one needs attention."""
    organisation = named(organisation, former)

    async def ask() -> list[tuple[ParticipantIdentifier, str, KeyRow]]:
        async with administering(load(config)) as installation:
            return _standing(installation, organisation)

    with reported_as_usage_errors():
        found = run(ask())
    if organisation is not None and not found:
        raise Unusable("that organisation has no message service here")
    now = datetime.now(UTC)
    rows = [_row(whose, public, row, now) for whose, public, row in found]
    if as_json:
        print_json({"keys": rows})
    else:
        print_rows(rows)
    return int(any(row.attention for _, _, row in found))


@app.command()
def create(
    organisation: Organisation,
    key: Key,
    config: ConfigFile,
    by: By,
    other: With = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
    out: Annotated[Path | None, typer.Option("--out", help="A new file for the request.")] = None,
) -> None:
    """Create a key and print its certificate request (PEM). Needs two custodians."""

    async def work(place: Workplace) -> bytes:
        place.keeper.require(key.key)
        name = subject(place.keeper.owner)
        matter = Matter("org keys create", organisation.value, f"make a new {key} key of {organisation}")
        await two_persons(place.installation, matter, persons)
        return await _created(place, key, name, by)

    with reported_as_usage_errors():
        if out is not None:
            require_new(out)
        persons = present(by, other, by_file, other_file)
    request = worked(config, organisation, work)
    if out is None:
        print_text(request.decode())
    else:
        with reported_as_usage_errors():
            out.write_bytes(request)


@app.command("create-all")
def create_all(
    organisation: Organisation,
    config: ConfigFile,
    by: By,
    out: Annotated[Path, typer.Option("--out", help="The folder for the requests; created if missing.")],
    other: With = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
) -> None:
    """Create each key that the organisation lacks, and write its certificate request. Needs two custodians.

    A key that is in use, or waits for its certificate or start day, is left unchanged.
    """

    async def work(place: Workplace) -> list[Path]:
        name, wanted = subject(place.keeper.owner), _lacking(place)
        if not wanted:
            raise Unusable("every key has been made: samdrift org keys list shows how they stand")
        files = {key: out / f"{key}.request.pem" for key in wanted}
        out.mkdir(exist_ok=True)
        for file in files.values():
            require_new(file)
        text = f"make new keys of {organisation}: {', '.join(wanted)}"
        await two_persons(
            place.installation, Matter("org keys create-all", organisation.value, text), persons
        )
        for key, file in files.items():
            file.write_bytes(await _created(place, key, name, by))
        return list(files.values())

    with reported_as_usage_errors():
        persons = present(by, other, by_file, other_file)
    for file in worked(config, organisation, work):
        print_line(shown(file))
    print_line(f"have each certified; then samdrift org keys install-all {organisation} CERTIFICATE...")


@app.command()
def install(
    organisation: Organisation,
    key: Key,
    certificate: Annotated[Path, typer.Argument(help="The certificate, followed by its issuers (PEM).")],
    config: ConfigFile,
    start: From = None,
    by: Actor = None,
) -> None:
    """Check a key's certificate and start using the key, immediately or from a given day."""
    with reported_as_usage_errors():
        own, *chain = read_certificates(certificate, read_input)
        at = read_time(start) if start is not None else None
        who = acting(by)

    async def work(place: Workplace) -> bool:
        now = datetime.now(UTC)
        place.keeper.require(key.key)
        _check(place, key, own, chain, max(at or now, now))
        return await _installed(place, key, own, chain, at, who)

    others = worked(config, organisation, work)
    for line in _next(key, own, at, first=not others):
        print_line(line)


@app.command("install-all")
def install_all(
    organisation: Organisation,
    certificates: Annotated[
        list[Path],
        typer.Argument(
            metavar="CERTIFICATE...", help="Files, each with a certificate, followed by its issuers (PEM)."
        ),
    ],
    config: ConfigFile,
    by: Actor = None,
) -> None:
    """Start using keys with their certificates, matched by public key; all are checked before any is used."""
    with reported_as_usage_errors():
        read = {file: read_certificates(file, read_input) for file in dict.fromkeys(certificates)}
        who = acting(by)

    async def work(place: Workplace) -> list[str]:
        now, lines = datetime.now(UTC), list[str]()
        used = {one.certificate for one in place.installation.keys.keys(place.keeper.vault)}
        known = {
            file: None if own in used else _key_of(place, file, own, chain, now)
            for file, (own, *chain) in read.items()
        }
        for file, (own, *chain) in read.items():
            if (key := known[file]) is None:
                lines.append(f"{shown(file)}: is installed already")
                continue
            others = await _installed(place, key, own, chain, None, who)
            first, *more = _next(key, own, None, first=not others)
            lines += [f"{key}: {first}", *more]
        return lines

    for line in worked(config, organisation, work):
        print_line(line)


@app.command()
def activate(
    organisation: Organisation,
    key: Key,
    number: Number,
    config: ConfigFile,
    start: From = None,
    by: Actor = None,
) -> None:
    """Use a certified key immediately, or from a different day than planned."""
    with reported_as_usage_errors():
        at, who = read_time(start), acting(by)

    async def work(place: Workplace) -> None:
        everything = place.installation.keys.keys(place.keeper.vault)
        if hindrance := not_used(place.held(key.key, number), everything, at):
            raise Unusable(hindrance)
        facts = {"key": key.value, "number": str(number), "start": at.isoformat()}
        await place.note(OrgEvent.KEYS_ACTIVATED, who.name, **facts, **who.facts())
        place.installation.keys.activate(place.keeper.vault, key.value, number, at)

    worked(config, organisation, work)


@app.command("revoke")
def revoke(
    organisation: Organisation,
    key: Key,
    number: Number,
    config: ConfigFile,
    reason: Annotated[
        str, typer.Option("--reason", help="The reason; recorded in the logs and shown in the list.")
    ],
    compromised: Annotated[
        bool,
        typer.Option(
            "--compromised", help="It may be known to someone else: it opens nothing any more either."
        ),
    ] = False,
    by: Actor = None,
) -> None:
    """Stop using a key for anything new. Content encrypted for it still opens, unless it is compromised."""

    async def work(place: Workplace) -> bool:
        place.held(key.key, number)
        facts = {"key": key.value, "number": str(number), "reason": reason}
        facts |= {"compromised": "yes" if compromised else "no", **who.facts()}
        await place.note(OrgEvent.KEYS_REVOKED, who.name, **facts)
        store, vault = place.installation.keys, place.keeper.vault
        store.revoke(vault, key.value, number, reason, at=datetime.now(UTC), compromised=compromised)
        return any(one.name is key.key and one.state.in_use(datetime.now(UTC)) for one in store.keys(vault))

    with reported_as_usage_errors():
        reason, who = one_line("--reason", reason), acting(by)
    another = worked(config, organisation, work)
    for line in _then(key, another, compromised):
        print_line(line)


@app.command("retire")
def retire(
    organisation: Organisation,
    key: Key,
    number: Number,
    config: ConfigFile,
    by: By,
    other: With = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
    anyway: Anyway = False,
) -> None:
    """Destroy a key permanently, except the one in use. Needs two custodians.

    Refused while an SMP names its certificate or does not answer.
    """

    async def work(place: Workplace) -> None:
        held, store = place.held(key.key, number), place.installation.keys
        rows = key_rows(store.keys(place.keeper.vault), datetime.now(UTC), [key.key])
        if any(row.in_use for row in rows if row.key == held):
            raise Unusable("the key in use is replaced, or revoked, before it is retired")
        text = f"destroy the {key} key number {number} of {organisation} for good"
        facts = {"key": key.value, "number": str(held.number)}
        if reason := await _named(place, held):
            if not anyway:
                raise Unusable(f"{reason}: {REPLACE_FIRST}")
            text, facts = f"{text}, although {reason}", facts | {"anyway": reason}
        await two_persons(place.installation, Matter("org keys retire", organisation.value, text), persons)
        await place.note(AdminEvent.KEYS_RETIRED, by, **facts)
        await asyncio.to_thread(store.retire, place.keeper.vault, key.value, number)

    with reported_as_usage_errors():
        persons = present(by, other, by_file, other_file)
    worked(config, organisation, work)


@app.command("publish")
def publish(
    organisation: Organisation,
    config: ConfigFile,
    out: Annotated[Path | None, typer.Option("--out", help="A new file; printed by default.")] = None,
    text: Annotated[bool, typer.Option("--text", help="A text in Swedish to print and sign.")] = False,
    by: Actor = None,
) -> None:
    """Write the submission for certificate publishing: certificates (JSON), or fingerprints to compare."""

    async def work(place: Workplace) -> str:
        now, installation = datetime.now(UTC), place.installation
        keys = to_publish(installation.keys.keys(place.keeper.vault), now)
        if {key.name for key in keys} != {KeyName.SIGNING, KeyName.ENCRYPTION}:
            raise Unusable(
                "the organisation has no signing and encryption keys in use: samdrift org keys list"
            )
        base = any(
            one.base_model for one in installation.config.organisations if one.identifier == organisation
        )
        federation = installation.config.federation.identifier
        publication = Publication(federation, place.keeper.owner, documents(base), keys, now)
        digests = " ".join(fingerprint(key.certificate) for key in keys)
        await place.note(OrgEvent.KEYS_PUBLICATION_WRITTEN, who.name, certificates=digests, **who.facts())
        if text:
            return swedish(publication)
        return json.dumps(document(publication), ensure_ascii=False, indent=2) + "\n"

    with reported_as_usage_errors():
        if out is not None:
            require_new(out)
        who = acting(by)
    written = worked(config, organisation, work)
    if out is None:
        print_text(written)
    else:
        with reported_as_usage_errors():
            out.write_text(written, encoding="utf-8")


@app.command("rotate-data-key")
def rotate_data_key(
    organisation: Organisation,
    config: ConfigFile,
    rewrap: Annotated[
        bool,
        typer.Option("--rewrap", help="Rewrap all keys as well, under a new secret of each vault."),
    ] = False,
    by: Actor = None,
) -> None:
    """Encrypt newly stored content under a new data key; existing content stays readable."""

    async def work(place: Workplace) -> None:
        registry, keys = place.installation.gate.registry, place.installation.keys
        vaults = [found.vault for role in Role if (found := registry.find(organisation, role)) is not None]
        facts = {"rewrapped": "yes" if rewrap else "no", "at": datetime.now(UTC).isoformat()}
        await place.note(OrgEvent.KEYS_DATA_KEY_ROTATED, who.name, **facts, **who.facts())
        for vault in vaults:
            await asyncio.to_thread(keys.rotate_data_key, vault)
            if rewrap:
                await asyncio.to_thread(keys.rewrap, vault)

    who = acting(by)
    worked(config, organisation, work)


@app.command("rotate-log-key")
def rotate_log_key(
    organisation: Organisation,
    config: ConfigFile,
    by: By,
    other: With = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
) -> None:
    """Sign the organisation's logs with new keys from now on. Needs two custodians.

    Each new key is announced by the previous one. For a vault that opens with an HSM, it is made in the HSM
    if that supports such keys.
    """

    async def work(place: Workplace) -> list[str]:
        gate, keys, made = place.installation.gate, place.installation.keys, []
        text = f"sign the logs of {organisation} with new keys"
        matter = Matter("org keys rotate-log-key", organisation.value, text)
        agreed = await two_persons(place.installation, matter, persons)
        both = {"first": agreed.first, "second": agreed.second}
        facts = {"organisation": organisation.value, **both}
        await gate.operator_log(OrgEvent.KEYS_LOG_KEY_ROTATED, **facts)
        for role in Role:
            if (found := gate.registry.find(organisation, role)) is not None:
                await asyncio.to_thread(keys.renew_log_key, found.vault)
                where = await asyncio.to_thread(keys.log_key_place, found.vault)
                made.append(f"{role.value}: {log_key_words(where)}")
                # An entry in the role's own log makes it grow, so that its next checkpoint is signed with the
                # new key.
                principal = Principal(PrincipalKind.OPERATOR, agreed.first)
                own = {"key": where.value, **both}
                await gate.record_for_organisation(
                    principal, organisation, OrgEvent.KEYS_LOG_KEY_ROTATED, own, [role]
                )
        return made

    with reported_as_usage_errors():
        persons = present(by, other, by_file, other_file)
    for line in worked(config, organisation, work):
        print_line(line)
    print_line("enter the new keys at the witnesses; samdrift log status has them after the next checkpoint")


app.command("lost-marks")(keybackup.lost_marks)
app.command("backup")(keybackup.backup)
app.command("restore")(keybackup.restore)


def _lacking(place: Workplace) -> list[Which]:
    """Return the names without a key that is in use or waits for its certificate or start day."""
    rows = key_rows(place.installation.keys.keys(place.keeper.vault), datetime.now(UTC))
    there = {row.name for row in rows if row.standing in _THERE}
    return [each for each in Which if place.keeper.keeps(each.key) and each.key not in there]


async def _created(place: Workplace, key: Which, name: x509.Name, by: str) -> bytes:
    """Create a key, record it, and return its certificate request."""
    store, vault = place.installation.keys, place.keeper.vault
    request = await asyncio.to_thread(store.create_key, vault, key.value, name)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(request)
    await place.note(OrgEvent.KEYS_CREATED, by, key=key.value, request=digest.finalize().hex())
    return request


async def _installed(
    place: Workplace,
    key: Which,
    own: x509.Certificate,
    chain: list[x509.Certificate],
    at: datetime | None,
    who: Acting,
) -> bool:
    """Start using a key with a checked certificate, and record it; return whether it has a predecessor."""
    start = at or datetime.now(UTC)
    facts = {"key": key.value, "certificate": fingerprint(own), "start": start.isoformat()}
    await place.note(OrgEvent.KEYS_INSTALLED, who.name, **facts, **who.facts())
    store, vault = place.installation.keys, place.keeper.vault
    others = any(one.name is key.key and one.certificate is not None for one in store.keys(vault))
    await asyncio.to_thread(store.install_certificate, vault, key.value, own, tuple(chain), at)
    return others


def _key_of(
    place: Workplace, file: Path, own: x509.Certificate, chain: list[x509.Certificate], now: datetime
) -> Which:
    """Return the waiting key that a certificate belongs to; :class:`Unusable` if it cannot be used."""
    store, vault = place.installation.keys, place.keeper.vault
    for key in Which:
        if own.public_key() in store.waiting(vault, key.value):
            try:
                _check(place, key, own, chain, now)
            except Unusable as error:
                raise Unusable(f"{shown(file)}: {error}") from None
            return key
    raise Unusable(f"{shown(file)}: the certificate cannot be used: it {Flaw.NO_KEY}")


def _check(
    place: Workplace, key: Which, own: x509.Certificate, chain: list[x509.Certificate], used_from: datetime
) -> None:
    """Raise :class:`Unusable` with every reason why the certificate cannot be used."""
    store, vault, purpose = place.installation.keys, place.keeper.vault, PURPOSES[key.key]
    used = [held.certificate for held in store.keys(vault) if held.certificate is not None]
    policy = issuers(place.installation.config, purpose)
    expected = Expected(place.keeper.owner, purpose, store.waiting(vault, key.value), used, policy, used_from)
    flaws = judge(own, chain, expected).flaws
    if flaws:
        raise Unusable(f"the certificate cannot be used: it {'; it '.join(flaws)}")


def _next(key: Which, own: x509.Certificate, at: datetime | None, *, first: bool) -> list[str]:
    """Return the next steps as lines of text; ``first`` if there is no earlier key."""
    when = f"from {at.isoformat(timespec='minutes')} on" if at is not None else "from now on"
    match key:
        case Which.SIGNING if first:
            return [f"signs {when}; have its certificate published: samdrift org keys publish"]
        case Which.SIGNING:
            return [
                f"signs {when}; have the certificate published first, in addition to the former one:",
                "samdrift org keys publish",
            ]
        case Which.ENCRYPTION:
            return ["decrypts from now on; have its certificate published: samdrift org keys publish"]
        case Which.TLS_CLIENT:
            return [
                f"is shown {when}; the access point lets in who is registered there: add under clients",
                f'"{"message-service" if first else "next"}" = "{fingerprint(own)}"',
            ]
        case Which.LOG_SIGNING:
            return [f"signs what is exported {when}"]


def _standing(
    installation: Administration, organisation: ParticipantIdentifier | None
) -> list[tuple[ParticipantIdentifier, str, KeyRow]]:
    now = datetime.now(UTC)
    return [
        (one.organisation, one.public_name[:8], row)
        for one in installation.gate.registry.all()
        if one.role is Role.MESSAGE_SERVICE and organisation in (None, one.organisation)
        for row in key_rows(installation.keys.keys(one.vault), now)
    ]


def _row(whose: ParticipantIdentifier, public: str, row: KeyRow, now: datetime) -> dict[str, Any]:
    """Return a key as a row; ``reference`` is the organisation's reference in the log of the service."""
    certificate = row.key.certificate if row.key is not None else None
    start = row.key.state.active_from if row.key is not None else None
    return {
        "organisation": whose.value,
        "reference": public,
        "key": row.name.value,
        "number": row.key.number if row.key is not None else None,
        "state": row.standing.value,
        "from": start.isoformat() if start is not None else None,
        "until": certificate.not_valid_after_utc.isoformat() if certificate is not None else None,
        "days": row.days_left(now),
        "sha256": fingerprint(certificate) if certificate is not None else None,
        "attention": row.attention or None,
        "reason": row.key.reason if row.key is not None and row.key.reason else None,
    }


async def _named(place: Workplace, held: HeldKey) -> str:
    """Return why peers may still use a key, according to the SMP; only signing and encryption keys count."""
    if held.name not in (KeyName.SIGNING, KeyName.ENCRYPTION) or held.certificate is None:
        return ""
    return await still_named(place.installation.config, held.certificate, [place.organisation])


def _then(key: Which, another: bool, compromised: bool) -> list[str]:
    """Return the next steps after a revocation as lines of text."""
    lines = ["notify the issuer, who puts the certificate on the revocation list"]
    if key in (Which.SIGNING, Which.ENCRYPTION):
        lines.append("have it taken out of certificate publishing: samdrift org keys publish")
    if key is Which.TLS_CLIENT:
        lines.append("take it out of the clients of the access point")
    if not another:
        lines.append("no key of this name is in use now: samdrift org keys create, or activate")
    if compromised and key is Which.ENCRYPTION:
        lines.append("what is still encrypted for it cannot be opened, and is not answered")
    return lines
