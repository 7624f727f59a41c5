"""Rules for the TLS of a listener, following those for grade A in the SSL Labs Server Rating Guide.

Clauses: transport-profile-as4 2.4.1 a.

Each rule has an id, which the doctor shows and docs/operations.md lists. We send ClientHello messages of our
own (:mod:`samdrift.net.tlsprobe`) to find out what a server accepts; the certificate comes from one full
handshake.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from samdrift.net.tlsprobe import Listener, NotTls, Version
from samdrift.operations.findings import Finding, Subject

EPHEMERAL_DH = (
    *(0x009E, 0x009F, 0xCCAA, 0xC052, 0xC053, 0xC07C, 0xC07D, 0xC09E, 0xC09F, 0xC0A2, 0xC0A3),
    *(0x0033, 0x0039, 0x0045, 0x0067, 0x006B, 0x0088, 0x009A, 0x00BE, 0x00C4, 0xC044, 0xC045, 0x0016),
    *(0x0032, 0x0038, 0x0040, 0x006A, 0x00A2, 0x00A3),
)
"""Suites of TLS 1.2 and earlier with ephemeral keys from a Diffie-Hellman group that the server chooses."""
FORWARD_AEAD = (
    *(0xC02F, 0xC030, 0xC02B, 0xC02C, 0xCCA8, 0xCCA9, 0x009E, 0x009F, 0xCCAA, 0x00A2, 0x00A3),
    *(0xC052, 0xC053, 0xC05C, 0xC05D, 0xC060, 0xC061, 0xC07C, 0xC07D, 0xC086, 0xC087, 0xC08A, 0xC08B),
    *(0xC09E, 0xC09F, 0xC0A2, 0xC0A3, 0xC0AC, 0xC0AD, 0xC0AE, 0xC0AF),
)
"""Suites of TLS 1.2 with forward secrecy and authenticated encryption."""
FORWARD_CBC = (
    *(0xC013, 0xC014, 0xC027, 0xC028, 0xC009, 0xC00A, 0xC023, 0xC024, 0xC044, 0xC045),
    *(0xC048, 0xC049, 0xC04C, 0xC04D, 0xC072, 0xC073, 0xC076, 0xC077),
    *(0x0033, 0x0039, 0x0067, 0x006B, 0x0045, 0x0088, 0x009A, 0x00BE, 0x00C4),
    *(0x0032, 0x0038, 0x0040, 0x006A, 0x0044, 0x0087, 0x0099, 0x00BD, 0x00C3),
)
STATIC_CBC = (
    *(0x002F, 0x0035, 0x003C, 0x003D, 0x0041, 0x0084, 0x0096, 0x00BA, 0x00C0, 0xC03C, 0xC03D),
    *(0xC004, 0xC005, 0xC00E, 0xC00F, 0xC025, 0xC026, 0xC029, 0xC02A),
)
STATIC_AEAD = (
    *(0x009C, 0x009D, 0xC050, 0xC051, 0xC07A, 0xC07B, 0xC09C, 0xC09D, 0xC0A0, 0xC0A1),
    *(0xC02D, 0xC02E, 0xC031, 0xC032),
)
"""Suites without forward secrecy: the certificate's key, if stolen later, decrypts recorded traffic."""
BROKEN = {
    "without encryption": (0x0001, 0x0002, 0x003B, 0x00B4, 0x00B5, 0xC001, 0xC006, 0xC00B, 0xC010, 0xC015),
    "of export strength": (
        *(0x0003, 0x0006, 0x0008, 0x000B, 0x000E, 0x0011, 0x0014, 0x0017, 0x0019),
        *(0x0060, 0x0061, 0x0062, 0x0063, 0x0064, 0x0065),
    ),
    "with RC4": (0x0004, 0x0005, 0x0018, 0x0066, 0xC002, 0xC007, 0xC00C, 0xC011, 0xC016),
    "with DES, 3DES or IDEA": (
        *(0x0007, 0x0009, 0x000A, 0x000C, 0x000D, 0x000F, 0x0010, 0x0012, 0x0013, 0x0015, 0x0016),
        *(0xC003, 0xC008, 0xC00D, 0xC012),
    ),
    "without a certificate": (
        *(0x0018, 0x001A, 0x001B, 0x0034, 0x003A, 0x0046, 0x0089, 0x009B, 0x006C, 0x006D, 0x00A6, 0x00A7),
        *(0x00BF, 0x00C5, 0xC015, 0xC016, 0xC017, 0xC018, 0xC019, 0xC046, 0xC047, 0xC05A, 0xC05B),
        *(0xC084, 0xC085),
    ),
}
"""Suites that no server may accept, by their weakness."""
OLD_VERSIONS = (Version.SSL_3_0, Version.TLS_1_0, Version.TLS_1_1)
_STATIC = (*STATIC_CBC, *STATIC_AEAD)
_CBC = (*FORWARD_CBC, *STATIC_CBC)
_ANY = (*FORWARD_AEAD, *FORWARD_CBC, *_STATIC)
_RSA_BITS, _DH_BITS, _EC_BITS = 2048, 2048, 256
_WEAK_HASHES = ("md5", "sha1")
_OF_TODAY, _WHATEVER_ITS_STRENGTH = "DEFAULT:@SECLEVEL=2", "DEFAULT:@SECLEVEL=0"
"""OpenSSL strings for the required strength of keys and hashes: 112 bits of security, or none."""

RULES = {
    "reach": "this listener is unusable",
    "versions": "older versions can be broken, and newer clients find no version that they accept",
    "tls13": "TLS 1.3 hides more and saves a round trip",
    "suites": "with such a suite, traffic can be read or changed in transit",
    "forward-secrecy": "without it, a key stolen later decrypts traffic recorded before",
    "group": "keys from a short group can be computed by an eavesdropper (Logjam)",
    "cbc": "suites of this kind have been attacked repeatedly",
    "compression": "compression reveals content by its length (CRIME)",
    "renegotiation": "without RFC 5746 a stranger's bytes can be put before a client's",
    "heartbeat": "nothing needs it, and it has leaked keys (Heartbleed)",
    "certificate": "clients refuse it",
    "key": "short keys and old hashes can be forged",
}
"""Every rule, with the harm if it is broken."""
_TODO = "TLS of the listeners is set by Samdrift itself: see what is in front of it, such as a proxy"


@dataclass(frozen=True, slots=True)
class Target:
    """A listener to examine."""

    door: str
    """Short name, as in the configuration: ``a``, ``c``, ``d``, ``mk``, ``gov`` or ``console``."""
    listener: Listener
    issuers: Path | None = None
    """Bundle of the issuers that its clients trust; ``None`` for Mozilla's."""
    unit: str = "samdrift"
    """Systemd unit whose journal explains why the listener does not answer."""


async def check_tls(target: Target) -> AsyncIterator[Finding]:
    """Check a listener by every rule; one that cannot be reached, only by the first."""
    rules = {name: Subject(f"tls.{target.door}.{name}", why) for name, why in RULES.items()}
    where = f"{target.listener.host}:{target.listener.port}"
    try:
        newest = await _newest(target.listener)
        if newest is None:
            yield rules["reach"].fail(f"{where} accepts neither TLS 1.2 nor 1.3", _TODO)
            return
        yield rules["reach"].ok(f"{where} accepts {newest}")
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


async def _takes_at(listener: Listener, versions: Iterable[Version], suites: Sequence[int]) -> bool:
    """Return whether one of the suites is accepted at one of the versions; some exist only in early ones."""
    for version in versions:
        if await _takes(listener, version, suites):
            return True
    return False


async def _asked(listener: Listener, rules: dict[str, Subject], newest: Version) -> list[Finding]:
    """Judge the server's choices from what it is offered."""
    every = (*_ANY, *(suite for suites in BROKEN.values() for suite in suites))
    old = [version for version in OLD_VERSIONS if await _takes(listener, version, every)]
    versions = (*old, Version.TLS_1_2)
    broken = [kind for kind, suites in BROKEN.items() if await _takes_at(listener, versions, suites)]
    static = await _takes_at(listener, versions, _STATIC)
    cbc = await _takes_at(listener, versions, _CBC)
    modern = await _takes(listener, Version.TLS_1_2, (*FORWARD_AEAD, *FORWARD_CBC))
    hello = await listener.hello(Version.TLS_1_2, every, deflate=True)
    found = [
        rules["versions"].judged(
            f"it accepts {', '.join(map(str, old))}" if old else "", "no version older than TLS 1.2", _TODO
        ),
        rules["tls13"].ok("taken")
        if newest is Version.TLS_1_3
        else rules["tls13"].warn("TLS 1.3 is not accepted", _TODO),
        rules["suites"].judged(
            f"it accepts suites {', '.join(broken)}" if broken else "", "no broken suite is accepted", _TODO
        ),
        rules["forward-secrecy"].judged(
            "it accepts suites without forward secrecy"
            if static or (hello is not None and not modern)
            else "",
            "every suite has it",
            _TODO,
        ),
        rules["group"].judged(await _short_group(listener, versions), "no short group", _TODO),
        rules["cbc"].warn("it accepts suites with CBC", _TODO) if cbc else rules["cbc"].ok("not taken"),
    ]
    if hello is not None:
        compressed = "it compresses" if hello.compressed else ""
        insecure = "" if hello.secure_renegotiation else "it does not support RFC 5746"
        found += [
            rules["compression"].judged(compressed, "not taken", _TODO),
            rules["renegotiation"].judged(insecure, "secure", _TODO),
            rules["heartbeat"].warn("it responds to heartbeats", _TODO)
            if hello.heartbeat
            else rules["heartbeat"].ok("not taken"),
        ]
    return found


async def _short_group(listener: Listener, versions: Iterable[Version]) -> str:
    """Return the fault of the ephemeral Diffie-Hellman group; empty if there is none."""
    for version in versions:
        bits = await listener.group_bits(version, EPHEMERAL_DH)
        if bits is not None and bits < _DH_BITS:
            return f"its Diffie-Hellman group has {bits} bits"
    return ""


async def _shown(target: Target, rules: dict[str, Subject]) -> list[Finding]:
    """Judge the certificate as a client that trusts the named issuers would.

    Weak keys and hashes are judged separately, by a rule of their own.
    """
    again = "samdrift keys request tls-server for that name, certified by an issuer that clients trust"
    trust = _trusting(target, _WHATEVER_ITS_STRENGTH)
    try:
        certificate = await target.listener.certificate(trust)
    except ssl.SSLCertVerificationError as error:
        found = [rules["certificate"].fail(error.verify_message, again)]
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
        try:
            certificate = await target.listener.certificate(trust)
        except (OSError, TimeoutError):
            return found
        weak = weakness(certificate)
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
        weak = weakness(certificate) or await _weak_issuers(target)
    return [*found, rules["key"].judged(weak, "of sufficient length", again)]


async def _weak_issuers(target: Target) -> str:
    """Return the weakness that OpenSSL finds in an otherwise trusted chain; empty if there is none."""
    try:
        await target.listener.certificate(_trusting(target, _OF_TODAY))
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except (OSError, TimeoutError):
        pass  # The handshake is too weak, which other rules report.
    return ""


def _trusting(target: Target, strength: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers(strength)
    context.check_hostname = bool(target.listener.name)
    context.load_verify_locations(target.issuers or certifi.where())
    return context


def weakness(certificate: x509.Certificate) -> str:
    """Return the weakness of a certificate; empty if there is none."""
    key, hashed = certificate.public_key(), certificate.signature_hash_algorithm
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _RSA_BITS:
        return f"its RSA key has {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < _EC_BITS:
        return f"its key has {key.key_size} bits"
    if hashed is not None and hashed.name in _WEAK_HASHES:
        return f"it is signed with {hashed.name.upper()}"
    return ""
