"""`samdrift keys`: the operator's own certificates, which can be replaced while everything runs.

These are the certificates of the access point and of TLS. A key is made in the key store and never leaves it:
a certificate request is sent out, and a certificate comes back. A key made elsewhere can be imported, and is
then treated like the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from samdrift.audit.entries import Happening
from samdrift.cli.inputs import read_input
from samdrift.cli.output import complain, print_json, print_line, print_rows, print_text
from samdrift.cli.persons import Actor, acting, passphrase
from samdrift.cli.published import REPLACE_FIRST, Anyway, still_named
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.inputs import read_certificates, reason
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.contracts.errors import for_operator
from samdrift.contracts.principals import Role
from samdrift.installation.keyrows import last_valid, shown_keys
from samdrift.installation.loop import run
from samdrift.installation.vaultsettings import key_store, vault_settings
from samdrift.keystore.durablefiles import NotPrivate, read_private
from samdrift.keystore.interface import OPERATOR_KEYS, HeldKey, KeyStore
from samdrift.keystore.keyfiles import KeyName
from samdrift.trust.keys import KeyBundle, KeyMaterialError, PassphraseNeeded, key_bundle
from samdrift.vault.errors import VaultError, VaultRefused
from samdrift.vault.examination import made
from samdrift.vault.provision import Provisioner
from samdrift.vault.settings import VaultSettings
from samdrift.wire.crypto.certificates import common_name

app = typer.Typer(add_completion=False)
_NO_LOG_YET = "3F000"
"""SQLSTATE of a missing schema: no organisation has been added to that database yet."""
_HOST = re.compile(r"(\*\.)?[A-Za-z0-9.:-]{1,253}")


class Which(StrEnum):
    """The keys of an operator."""

    ACCESS_POINT = KeyName.ACCESS_POINT.value
    TLS_SERVER = KeyName.TLS_SERVER.value
    TLS_CLIENT = KeyName.TLS_CLIENT.value


ConfigFile = Annotated[Path, typer.Option("--config", help="The installation's configuration file (TOML).")]
Key = Annotated[Which, typer.Argument(help="One of the operator's keys.")]


@app.callback()
def keys() -> None:
    """Replace the operator's certificates, without a restart: request, install, and retire the old key."""


@app.command("list")
def list_keys(
    config: ConfigFile,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """List the operator's keys, newest first, with their state and the end of their certificates.

    A server's key is in use while it is shown to clients of some host.
    """
    with reported_as_usage_errors():
        held = key_store(load(config)).keys(OPERATOR_KEYS)
    shown = shown_keys(held, datetime.now(UTC))
    rows = [_row(key, held, [host for host, one in shown.items() if one == key]) for key in held]
    if as_json:
        print_json({"keys": rows})
    else:
        listed = [row | {"until": _minute(row["until"]), "hosts": ", ".join(row["hosts"])} for row in rows]
        print_rows(listed)


def _minute(at: object) -> str | None:
    """Return a moment in a document as lists show it."""
    return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%MZ}" if isinstance(at, str) else None


@app.command()
def request(
    key: Key,
    config: ConfigFile,
    name: Annotated[
        str | None, typer.Option("--name", help="The common name; for the access point, its party.")
    ] = None,
    hosts: Annotated[
        list[str] | None,
        typer.Option("--host", help="A host name for a server's certificate; may be repeated."),
    ] = None,
    by: Actor = None,
) -> None:
    """Make a new key and print its certificate request (PEM). Nothing changes until it is certified."""
    with reported_as_usage_errors():
        loaded, who = load(config), acting(by)
        party = loaded.access_point.party if loaded.access_point is not None else None
        if key is Which.ACCESS_POINT:
            name = name or party
        if hosts and key is not Which.TLS_SERVER:
            raise Unusable("--host is for tls-server")
        if not all(_HOST.fullmatch(each) for each in hosts or ()):
            raise Unusable("--host is a name such as ap.example.se or *.example.se, or an address")
        name = name or (hosts[0] if hosts else None)
        if not name:
            raise Unusable("--name is needed: the common name of the certificate")
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        store = key_store(loaded, begin=True)
        _record(loaded, store, who.entry("keys request", key=key.value, name=name))
        request = store.create_key(OPERATOR_KEYS, key.value, subject, hosts=hosts or ())
        print_text(request.decode())


@app.command()
def install(
    key: Key,
    certificate: Annotated[Path, typer.Argument(help="The certificate, followed by its issuers (PEM).")],
    config: ConfigFile,
    by: Actor = None,
) -> None:
    """Start using a new key with its certificate. It signs from now on; the old key still decrypts."""
    with reported_as_usage_errors():
        loaded = load(config)
        own, *chain = read_certificates(certificate, read_input)
        _require_party(loaded, key, own, certificate)
        who, store = acting(by), key_store(loaded)
        _record(loaded, store, who.entry("keys install", key=key.value, sha256=_sha256(own)))
        store.install_certificate(OPERATOR_KEYS, key.value, own, tuple(chain))


@app.command("import")
def import_key(
    key: Key,
    bundle_file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="PKCS#12, or PEM: the certificate, its issuers, and the key unless --key."
        ),
    ],
    config: ConfigFile,
    key_file: Annotated[
        Path | None, typer.Option("--key", help="A file with the private key (PEM), where it is apart.")
    ] = None,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            "--passphrase-file", help="A file with the key's passphrase; otherwise it is asked for."
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Destroy the older keys of a server with the same names.")
    ] = False,
    by: Actor = None,
) -> None:
    """Start using a key that was made elsewhere, with its certificate. Repeating it changes nothing."""
    with reported_as_usage_errors():
        if replace and key is not Which.TLS_SERVER:
            raise Unusable("--replace is for tls-server; see samdrift keys retire")
        loaded, who = load(config), acting(by)
        bundle = _bundle(bundle_file, key_file, passphrase_file)
        _require_party(loaded, key, bundle.certificate, bundle_file)
        store = key_store(loaded, begin=True)
        _record(loaded, store, who.entry("keys import", key=key.value, sha256=_sha256(bundle.certificate)))
        number = store.import_key(OPERATOR_KEYS, key.value, bundle.key, bundle.certificate, bundle.issuers)
        older = [one for one in store.keys(OPERATOR_KEYS) if replace and _replaced(one, number, bundle)]
        for one in older:
            store.retire(OPERATOR_KEYS, key.value, one.number)
    until = bundle.certificate.not_valid_after_utc
    print_line(
        f"{key.value} {number}, until {until:%Y-%m-%d}, {len(bundle.issuers)} issuers; {len(older)} retired"
    )


def _bundle(file: Path, key_file: Path | None, passphrase_file: Path | None) -> KeyBundle:
    """Read key and certificate; the file of an unencrypted key must be private to its owner."""
    own = key_file or file
    try:
        data = file.read_bytes() + (b"" if key_file is None else b"\n" + key_file.read_bytes())
        try:
            bundle = key_bundle(data)
            read_private(own)
        except NotPrivate:
            text = "users other than its owner can read the key in it, which is not encrypted: chmod 600"
            raise Unusable(f"{shown(own)}: {text}") from None
        except PassphraseNeeded:
            bundle = key_bundle(data, passphrase(f"Passphrase of {shown(own)}", passphrase_file))
    except OSError as error:
        raise Unusable(f"{shown(Path(error.filename or file))}: {reason(error)}") from None
    except KeyMaterialError as error:
        raise Unusable(f"{shown(own)}: {error}") from None
    certificate, now = bundle.certificate, datetime.now(UTC)
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        raise Unusable(f"{shown(file)}: the certificate is not valid now")
    return bundle


def _replaced(held: HeldKey, number: int, bundle: KeyBundle) -> bool:
    """Return whether a key is an older server key for the same names."""
    if held.name is not KeyName.TLS_SERVER or held.number >= number or held.certificate is None:
        return False
    return _names(held.certificate) == _names(bundle.certificate)


def _names(certificate: x509.Certificate) -> frozenset[x509.GeneralName]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(names.value)


@app.command()
def retire(
    key: Key,
    number: Annotated[int, typer.Argument(help="The number in the list.")],
    config: ConfigFile,
    anyway: Anyway = False,
    by: Actor = None,
) -> None:
    """Destroy an older key permanently.

    Refused while an SMP names its certificate or does not answer, and for a server's last valid certificate.
    """
    with reported_as_usage_errors():
        loaded, who = load(config), acting(by)
        store = key_store(loaded)
        reason = "" if anyway or key is not Which.ACCESS_POINT else _named(loaded, store, number)
        if reason:
            raise Unusable(f"{reason}: {REPLACE_FIRST}")
        if key is Which.TLS_SERVER and not anyway:
            _require_another(store, number)
        _record(loaded, store, who.entry("keys retire", key=key.value, number=str(number)))
        store.retire(OPERATOR_KEYS, key.value, number)


def _require_another(store: KeyStore, number: int) -> None:
    """Refuse to destroy the server key with the last valid certificate of a host."""
    hosts = [host for host in last_valid(store.keys(OPERATOR_KEYS), number, datetime.now(UTC)) if host]
    if hosts:
        raise Unusable(
            f"it has the last valid certificate for {', '.join(hosts)}: install another one first, or destroy"
            " the key anyway with --anyway"
        )


def _record(config: Config, store: KeyStore, entry: Happening) -> None:
    """Record in the operator's log who uses the operator's own keys, and how, before it happens.

    Before the first organisation is added there is no log. A log that cannot be written only causes a
    warning: an expired certificate may be why nothing runs.
    """
    settings = vault_settings(config)
    if not made(settings):
        return
    try:
        run(_recorded(settings, store, entry))
    except VaultError as error:
        if not (isinstance(error, VaultRefused) and error.code == _NO_LOG_YET):
            complain(f"warning: the operator's log does not have who did this: {for_operator(error)}")


async def _recorded(settings: VaultSettings, store: KeyStore, entry: Happening) -> None:
    provisioner = await Provisioner.connect(settings, keys=store)
    try:
        await provisioner.operator_log(entry)
    finally:
        await provisioner.close()


def _sha256(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def _require_party(config: Config, key: Which, certificate: x509.Certificate, file: Path) -> None:
    """Refuse a certificate of another access point; :class:`Unusable` names the file."""
    access_point = config.access_point
    if key is Which.ACCESS_POINT and access_point and common_name(certificate) != access_point.party:
        raise Unusable(f"{shown(file)}: the common name is not the party of this access point")


def _named(config: Config, store: KeyStore, number: int) -> str:
    """Return why peers may still encrypt for an access point's key, according to the SMP."""
    held = store.keys(OPERATOR_KEYS)
    certificates = [
        one.certificate for one in held if (one.name, one.number) == (KeyName.ACCESS_POINT, number)
    ]
    if not certificates or certificates[0] is None:
        return ""
    hosted = [one.identifier for one in config.organisations if Role.ACCESS_POINT in one.roles]
    return run(still_named(config, certificates[0], hosted))


def _row(key: HeldKey, held: Iterable[HeldKey], hosts: Sequence[str]) -> dict[str, Any]:
    """Return a key as a row of the list; a server shows it for ``hosts``, of which "" stands for others."""
    row: dict[str, Any] = {"key": key.name.value, "number": key.number}
    if key.certificate is None:
        return row | {"state": "waits for its certificate", "hosts": [], "until": None, "sha256": None}
    newest = max(one.number for one in held if one.name is key.name and one.certificate is not None)
    used = bool(hosts) if key.name is KeyName.TLS_SERVER else key.number == newest
    return row | {
        "state": "in use" if used else "old",
        "hosts": [host for host in hosts if host],
        "until": key.certificate.not_valid_after_utc.isoformat(),
        "sha256": _sha256(key.certificate),
    }
