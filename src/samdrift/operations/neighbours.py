"""Checks of the services around an installation, and of its registrations in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from samdrift.administration.administration import Administration
from samdrift.administration.checklist import Facts, Item, checklist
from samdrift.administration.checklist import State as ItemState
from samdrift.administration.readiness import Federation, asking, gather
from samdrift.config.malware import MalwareConfig
from samdrift.config.model import Config, Environment
from samdrift.contracts.discovery import CertificatePurpose
from samdrift.contracts.malware import ScannerUnavailable
from samdrift.installation.services import malware_scanner, name_resolver, shared_services
from samdrift.keystore.interface import OPERATOR_KEYS, KeyStore
from samdrift.keystore.keyfiles import KeyName, KeyStoreError
from samdrift.net.addressbook import kept_copy
from samdrift.net.clamd import ClamdScanner
from samdrift.net.dns import Dnssec, ResolverUnavailable
from samdrift.net.timeserver import PORT, TimeUnknown, clock_offset
from samdrift.net.trustfolder import TrustFolderError, read_policies
from samdrift.operations.findings import Finding, State, Subject
from samdrift.wire import bdxl

_SCANNER = Subject("scanner", "messages wait until they have been scanned, in and out")
_FINDS = Subject("scanner.finds", "a scanner that overlooks the test file lets malicious code through")
_SIGNATURES = Subject("scanner.signatures", "an outdated scanner does not know current threats")
_CLOCK = Subject("clock", "peers refuse signatures with the wrong time, and certificates are judged wrongly")
_TRUST = Subject("trust", "without certificates in it, no peer and no SMP is trusted")
_DNS = Subject("dns", "without SML no recipient is found")
_DNSSEC = Subject("dnssec", "an attacker between us and the resolver can deny that a recipient exists")
_BOOK = Subject("address-book", "addresses are checked against an ageing copy")
_REVOCATION = Subject("revocation", "peers that cannot verify our certificate refuse it, as we do theirs")

_OLD, _TOO_OLD = timedelta(days=2), timedelta(days=7)
_OFF, _TOO_FAR_OFF = timedelta(seconds=1), timedelta(seconds=30)


async def check_scanner(config: MalwareConfig | None, now: datetime) -> AsyncIterator[Finding]:
    """Check that clamd answers, finds the test file in archives, and has current signatures."""
    if config is None or config.clamd is None:
        yield _SCANNER.skipped("the configuration names none")
        return
    service = "systemctl status clamav-daemon"
    try:
        version = await ClamdScanner(config.clamd, config.answer_seconds).version()
    except ScannerUnavailable as error:
        yield _SCANNER.fail(error.cause, service)
        return
    yield _SCANNER.ok(version.program)
    try:
        await malware_scanner(config).scan([b"samdrift"])
    except ScannerUnavailable as error:
        yield _FINDS.fail(error.text, "docs/malware.md: the settings of clamd")
    else:
        yield _FINDS.ok("finds the EICAR test file at the end of the largest message")
    yield _signatures(version.signatures, now)


def _signatures(at: datetime | None, now: datetime) -> Finding:
    todo = "systemctl status clamav-freshclam; freshclam gets them"
    if at is None:
        return _SIGNATURES.warn("it has no official signatures, or does not report their age", todo)
    text = f"of {at:%Y-%m-%d}"
    if now - at > _TOO_OLD:
        return _SIGNATURES.fail(text, todo)
    return _SIGNATURES.warn(text, todo) if now - at > _OLD else _SIGNATURES.ok(text)


async def check_clock(server: str) -> Finding:
    """Check this machine's clock against a time server, ``host`` or ``host:port``."""
    host, _, port = server.rpartition(":") if server.count(":") == 1 else (server, "", "")
    todo = "timedatectl status; systemctl status systemd-timesyncd (or chrony)"
    try:
        off = await clock_offset(host, int(port) if port.isdecimal() else PORT)
    except TimeUnknown as error:
        return _CLOCK.warn(f"not known: {error}", f"{todo}; --time-server names another one")
    text = f"{abs(off.total_seconds()):.1f} s {'behind' if off > timedelta(0) else 'ahead of'} {server}"
    if abs(off) > _TOO_FAR_OFF:
        return _CLOCK.fail(text, todo)
    return _CLOCK.warn(text, todo) if abs(off) > _OFF else _CLOCK.ok(text)


def check_trust(config: Config) -> Finding:
    """Check that the trust folder has issuers for each purpose."""
    try:
        read_policies(config.federation.trust)
    except TrustFolderError as error:
        return _TRUST.fail(str(error), "put DIGG's certificates into federation.trust, by purpose")
    return _TRUST.ok("names issuers of access points, SMP and organisations")


async def check_dns(config: Config) -> AsyncIterator[Finding]:
    """Check that DNS answers for the SML zone, and how DNSSEC judges the answer."""
    federation = config.federation
    hosted = [one.identifier for one in config.organisations]
    name = bdxl.host(hosted[0], federation.sml_zone) if hosted else federation.sml_zone
    try:
        answer = await name_resolver(federation).naptr(name)
    except ResolverUnavailable as error:
        yield _DNS.fail(
            f"no answer for {federation.sml_zone} ({error})", "see federation.name_servers, or resolv.conf"
        )
        return
    yield _DNS.ok(f"answers for {federation.sml_zone}")
    todo = "use a validating resolver on this machine: docs/operations.md#dnssec"
    if answer.dnssec is Dnssec.AUTHENTICATED:
        yield _DNSSEC.ok(answer.dnssec.value)
    elif federation.require_dnssec:
        yield _DNSSEC.fail(answer.dnssec.value, todo)
    elif config.environment is Environment.PRODUCTION:
        yield _DNSSEC.warn(answer.dnssec.value, todo)
    else:
        yield _DNSSEC.skipped(f"not required here: {answer.dnssec.value}")


async def check_revocation(config: Config, keys: KeyStore, now: datetime) -> Finding:
    """Check our access point's certificate as a peer would, with OCSP and revocation lists."""
    if config.access_point is None:
        return _REVOCATION.skipped("there is no access point here")
    try:
        certificate = keys.signing_key(OPERATOR_KEYS, KeyName.ACCESS_POINT).certificate
    except KeyStoreError:
        return _REVOCATION.skipped("the access point has no certificate")
    async with shared_services(config) as services:
        verdict = await services.checks.check(certificate, CertificatePurpose.ACCESS_POINT, now)
    if verdict.trusted:
        return _REVOCATION.ok("our access point's certificate is good")
    text = f"our access point's certificate: {verdict.reason.value} {verdict.detail}".rstrip()
    if verdict.temporary:
        return _REVOCATION.warn(
            text, "allow this machine to reach the issuer's OCSP and CRL addresses on port 80"
        )
    return _REVOCATION.fail(text, "samdrift keys request access-point; ask the issuer why it was revoked")


async def check_organisations(
    installation: Administration, now: datetime, *, offline: bool
) -> AsyncIterator[Finding]:
    """Check each organisation by its checklist, including SML, SMP, CertPub and the address book."""
    config = installation.config
    if offline:
        yield _BOOK.skipped("not asked")
        for facts in await _facts(installation, None, now):
            for finding in _by_checklist(facts, offline=True):
                yield finding
        return
    async with asking(config, now) as federation:
        yield _book(config, federation)
        found = await _facts(installation, federation, now)
    for facts in found:
        for finding in _by_checklist(facts, offline=False):
            yield finding


async def _facts(installation: Administration, federation: Federation | None, now: datetime) -> list[Facts]:
    """Gather the facts of every organisation that is configured or hosted here."""
    named = [one.identifier for one in installation.config.organisations]
    hosted = [one.organisation for one in installation.gate.registry.all()]
    each = dict.fromkeys([*named, *hosted])
    return [await gather(installation, one, federation, now) for one in each]


def _book(config: Config, federation: Federation) -> Finding:
    if config.address_book is None:
        return _BOOK.skipped("the configuration names none")
    if federation.book.value is not None:
        return _BOOK.ok(f"{len(federation.book.value.organisations)} organisations")
    copy = kept_copy(config.address_book.file)
    todo = "see address_book.url, and that this machine reaches it"
    if copy is None:
        return _BOOK.fail(f"{federation.book.unknown}; there is no copy either", todo)
    return _BOOK.warn(f"{federation.book.unknown}; the copy is of {copy.taken_at:%Y-%m-%d %H:%M}Z", todo)


_STATES = {
    ItemState.DONE: State.OK,
    ItemState.SOON: State.WARN,
    ItemState.MISSING: State.FAIL,
    ItemState.NOT_CHECKED: State.WARN,
}


def _by_checklist(facts: Facts, *, offline: bool) -> Iterator[Finding]:
    """Judge an organisation by its checklist, without its cover: agreements have a check of their own."""
    why = "the organisation cannot send or receive as it should"
    for item in checklist(replace(facts, cover={})):
        yield _of_item(item, facts.organisation.value, why, offline=offline)


def _of_item(item: Item, organisation: str, why: str, *, offline: bool) -> Finding:
    identifier = f"organisation.{item.name.lower().replace(' ', '-')}"
    state = _STATES[item.state]
    if item.state is ItemState.NOT_CHECKED and offline:
        state = State.SKIPPED
    if state in (State.OK, State.SKIPPED):
        return Finding(identifier, state, item.text, about=organisation)
    return Finding(identifier, state, item.text, why, item.next, organisation)
