"""Rules for TLS of a listener, after those that SSL Labs' grade A rests on (SSL Server Rating Guide).

Each rule has an id, which the doctor shows and docs/operations.md lists. What a server takes is asked
in hellos of our own (:mod:`samdrift.net.tlsprobe`); the certificate comes from one whole handshake.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from samdrift.net.tlsprobe import Listener, NotTls, Version
from samdrift.operations.findings import Finding, Subject

FORWARD_AEAD = (0xC02F, 0xC030, 0xC02B, 0xC02C, 0xCCA8, 0xCCA9, 0x009E, 0x009F, 0xCCAA)
"""Suites of TLS 1.2 with forward secrecy and authenticated encryption."""
FORWARD_CBC = (
    *(0xC013, 0xC014, 0xC027, 0xC028, 0xC009, 0xC00A, 0xC023, 0xC024),
    *(0x0033, 0x0039, 0x0067, 0x006B, 0x0045, 0x0088),
)
STATIC_RSA = (0x002F, 0x0035, 0x003C, 0x003D, 0x009C, 0x009D, 0x0041, 0x0084, 0x0096)
BROKEN = {
    "without encryption": (0x0001, 0x0002, 0x003B, 0xC001, 0xC006, 0xC00B, 0xC010, 0xC015),
    "of export strength": (0x0003, 0x0006, 0x0008, 0x000B, 0x000E, 0x0011, 0x0014, 0x0017, 0x0019),
    "with RC4": (0x0004, 0x0005, 0xC002, 0xC007, 0xC00C, 0xC011),
    "with DES or 3DES": (
        *(0x0009, 0x000A, 0x000C, 0x000D, 0x000F, 0x0010, 0x0012, 0x0013, 0x0015, 0x0016),
        *(0xC003, 0xC008, 0xC00D, 0xC012),
    ),
    "without a certificate": (
        *(0x0018, 0x001A, 0x001B, 0x0034, 0x003A, 0x006C, 0x006D, 0x00A6, 0x00A7),
        *(0xC015, 0xC016, 0xC017, 0xC018, 0xC019),
    ),
}
"""Suites that nobody may take, by what is wrong with them."""
OLD_VERSIONS = (Version.SSL_3_0, Version.TLS_1_0, Version.TLS_1_1)
_ANY = (*FORWARD_AEAD, *FORWARD_CBC, *STATIC_RSA)
_RSA_BITS, _EC_BITS = 2048, 256
_WEAK_HASHES = ("md5", "sha1")

RULES = {
    "reach": "nobody can use this listener",
    "versions": "older versions can be broken, newer clients find nothing that they take",
    "tls13": "TLS 1.3 hides more, and takes a round trip less",
    "suites": "with such a suite what is sent can be read or changed on its way",
    "forward-secrecy": "without it, a key that is stolen later opens what was recorded before",
    "cbc": "suites of this kind have been attacked time and again",
    "compression": "compression gives away what is sent by its length (CRIME)",
    "renegotiation": "without RFC 5746 a stranger's bytes can be put before a client's",
    "heartbeat": "nothing needs it, and it has leaked keys (Heartbleed)",
    "certificate": "clients refuse it",
    "key": "short keys and old hashes can be forged",
}
"""Every rule, with the harm where it is broken."""
_TODO = "TLS of the listeners is set by Samdrift itself: see what stands in front of it, such as a proxy"


@dataclass(frozen=True, slots=True)
class Target:
    """A listener to examine."""

    door: str
    """Its short name, as in the configuration: ``a``, ``c``, ``d``, ``mk``, ``gov``, ``console``."""
    listener: Listener
    issuers: Path | None = None
    """Bundle of the issuers that its clients trust; Mozilla's where it is ``None``."""
    unit: str = "samdrift"
    """The systemd unit whose journal tells why it does not answer."""


async def check_tls(target: Target) -> AsyncIterator[Finding]:
    """Check a listener by every rule; one that cannot be reached by the first alone."""
    rules = {name: Subject(f"tls.{target.door}.{name}", why) for name, why in RULES.items()}
    where = f"{target.listener.host}:{target.listener.port}"
    try:
        newest = await _newest(target.listener)
        if newest is None:
            yield rules["reach"].fail(f"{where} takes neither TLS 1.2 nor 1.3", _TODO)
            return
        yield rules["reach"].ok(f"{where} takes {newest}")
        for finding in await _asked(target.listener, rules, newest):
            yield finding
    except NotTls as error:
        yield rules["reach"].fail(f"{error} at {where}", f"journalctl -u {target.unit}; samdrift status")
        return
    for finding in await _shown(target, rules):
        yield finding


async def _newest(listener: Listener) -> Version | None:
    for version in (Version.TLS_1_3, Version.TLS_1_2):
        if await _takes(listener, version, FORWARD_AEAD) or await _takes(listener, version, _ANY):
            return version
    return None


async def _takes(listener: Listener, version: Version, suites: Iterable[int]) -> bool:
    hello = await listener.hello(version, tuple(suites))
    return hello is not None and hello.version == version


async def _asked(listener: Listener, rules: dict[str, Subject], newest: Version) -> list[Finding]:
    """Judge what the server chooses out of what it is offered."""
    every = (*_ANY, *(suite for suites in BROKEN.values() for suite in suites))
    old = [str(version) for version in OLD_VERSIONS if await _takes(listener, version, every)]
    modern = await _takes(listener, Version.TLS_1_2, FORWARD_AEAD)
    broken = [kind for kind, suites in BROKEN.items() if await _takes(listener, Version.TLS_1_2, suites)]
    static = await _takes(listener, Version.TLS_1_2, STATIC_RSA)
    cbc = await _takes(listener, Version.TLS_1_2, FORWARD_CBC)
    hello = await listener.hello(Version.TLS_1_2, every, deflate=True)
    found = [
        rules["versions"].judged(
            f"it takes {', '.join(old)}" if old else "", "nothing before TLS 1.2", _TODO
        ),
        rules["tls13"].ok("taken")
        if newest is Version.TLS_1_3
        else rules["tls13"].warn("TLS 1.3 is not taken", _TODO),
        rules["suites"].judged(
            f"it takes suites {', '.join(broken)}" if broken else "", "no broken suite is taken", _TODO
        ),
        rules["forward-secrecy"].judged(
            "it takes suites without forward secrecy"
            if static or (hello is not None and not modern and not cbc)
            else "",
            "every suite has it",
            _TODO,
        ),
        rules["cbc"].warn("it takes suites with CBC", _TODO) if cbc else rules["cbc"].ok("not taken"),
    ]
    if hello is not None:
        compressed = "it compresses" if hello.compressed else ""
        insecure = "" if hello.secure_renegotiation else "it does not know RFC 5746"
        heartbeat = "it answers heartbeats" if hello.heartbeat else ""
        found += [
            rules["compression"].judged(compressed, "not taken", _TODO),
            rules["renegotiation"].judged(insecure, "secure", _TODO),
            rules["heartbeat"].judged(heartbeat, "not taken", _TODO),
        ]
    return found


async def _shown(target: Target, rules: dict[str, Subject]) -> list[Finding]:
    """Judge the certificate as a client does who trusts the named issuers."""
    again = "samdrift keys request tls-server for that name, certified by an issuer that clients trust"
    trust = _trusting(target)
    try:
        certificate = await target.listener.certificate(trust)
    except ssl.SSLCertVerificationError as error:
        found = [rules["certificate"].fail(error.verify_message, again)]
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
        try:
            certificate = await target.listener.certificate(trust)
        except (OSError, TimeoutError):
            return found
    except (OSError, TimeoutError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        return [rules["certificate"].fail(f"no handshake ({reason})", again)]
    else:
        until = certificate.not_valid_after_utc
        found = [
            rules["certificate"].ok(
                f"trusted, for {target.listener.name or 'any name'}, until {until:%Y-%m-%d}"
            )
        ]
    return [*found, rules["key"].judged(weakness(certificate), "of a length that holds", again)]


def _trusting(target: Target) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = bool(target.listener.name)
    context.load_verify_locations(target.issuers or certifi.where())
    return context


def weakness(certificate: x509.Certificate) -> str:
    """Return what is weak in a certificate; empty when nothing is."""
    key, hashed = certificate.public_key(), certificate.signature_hash_algorithm
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _RSA_BITS:
        return f"its RSA key has {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < _EC_BITS:
        return f"its key has {key.key_size} bits"
    if hashed is not None and hashed.name in _WEAK_HASHES:
        return f"it is signed with {hashed.name.upper()}"
    return ""
