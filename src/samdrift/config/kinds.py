"""Kinds of values for keys of the configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import Enum
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, TypeVar

from samdrift.config.credentials import credential
from samdrift.config.keys import Kind
from samdrift.config.toml import ConfigError
from samdrift.config.values import SocketAddress, count, flag, items, names, positive, text, texts
from samdrift.contracts.messageclients import AddressPattern, Scope, patterns
from samdrift.net.issuers import KeysAt
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.jose.keys import Algorithm
from samdrift.wire.profile import PROFILES, TransportProfile
from samdrift.wire.webaddress import web_address

T = TypeVar("T")
E = TypeVar("E", bound=Enum)

_DOMAIN = re.compile(r"[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*")
_HOST = re.compile(r"[0-9a-z]([0-9a-z-]{0,61}[0-9a-z])?(\.[0-9a-z]([0-9a-z-]{0,61}[0-9a-z])?)*")
_MAX_HOST = 253
_NUMBER = re.compile(r"[0-9]{6}-?[0-9]{4}")
_PARTY = re.compile(r"SE:[0-9]{6}-[0-9]{4}|(?!SE)[A-Z]{2}:[0-9A-Za-z][0-9A-Za-z-]{1,30}")
_CLIENT_ID = re.compile(r"[!-~]{1,100}")


def kind(name: str, read: Callable[[Any], T]) -> Kind[T]:
    """Make a kind of value that does not depend on the file's folder."""
    return Kind(name, lambda value, _: read(value))


def choice(type_: type[E]) -> Kind[E]:
    """Make the kind of value that is one member of an enumeration."""
    allowed = [str(each.value) for each in type_]

    def read(value: Any) -> E:
        if text(value) not in allowed:
            raise ValueError(f"{text(value)!r} is not one of {', '.join(allowed)}")
        return type_(value)

    return kind(" or ".join(f"`{each}`" for each in allowed), read)


def choices(type_: type[E]) -> Kind[tuple[E, ...]]:
    """Make the kind of value that is a list of members of an enumeration."""
    one = choice(type_)
    return Kind(
        f"list of {one.name}", lambda value, folder: tuple(one.read(each, folder) for each in items(value))
    )


def whole(least: int, most: int | None = None) -> Kind[int]:
    """Make the kind of value that is a whole number within limits."""

    def read(value: Any) -> int:
        if count(value) < least:
            raise ValueError(f"is less than {least}")
        if most is not None and value > most:
            raise ValueError(f"is more than {most}")
        return int(value)

    return kind(f"whole number from {least}" + (f" to {most}" if most is not None else ""), read)


def _place(value: Any, folder: Path) -> Path | str:
    return text(value) if "://" in text(value) else folder / text(value)


def _address(value: Any) -> SocketAddress:
    host, separator, port = text(value).rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65535:
        raise ValueError("is not of the form address:port")
    return SocketAddress(host.strip("[]"), int(port))


def _loopback(value: Any) -> SocketAddress:
    address = _address(value)
    if not is_loopback(address.host):
        raise ValueError("is not a loopback address such as 127.0.0.1:9100")
    return address


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is a loopback IP address; false for any name."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def https_address(value: Any) -> str:
    """Return an ``https://`` address; raise :class:`ValueError` for any other."""
    try:
        address = web_address(text(value), "")
    except WireError:
        address = ""
    if not address.startswith("https://"):
        raise ValueError("is not an address that begins with https://")
    return address


def _service(value: Any) -> str:
    """Read a service's address without a query; the reader restricts HTTP to the demonstration."""
    try:
        address = web_address(text(value), "")
    except WireError as error:
        raise ValueError(error.text) from None
    if "?" in address:
        raise ValueError("has a query")
    return address


def _networks(value: Any) -> tuple[str, ...]:
    for each in texts(value):
        try:
            ip_network(each)
        except ValueError:
            raise ValueError(f"has {each}, which is not a network such as 10.1.2.0/24") from None
    return texts(value)


def _origin(value: Any) -> str:
    address = https_address(value).rstrip("/")
    if address.count("/") != 2:
        raise ValueError("is more than https:// and a host")
    return address


def _host(value: Any) -> str:
    """Read a host name as browsers send it: in lower case, without a port."""
    if len(text(value)) > _MAX_HOST or not _HOST.fullmatch(value):
        raise ValueError("is not the name of a host in lower-case letters, such as habo.messages.example.se")
    return str(value)


def _domain(value: Any) -> str:
    if not _DOMAIN.fullmatch(text(value)):
        raise ValueError("is not a domain such as messages.example.se")
    return str(value)


def participant(value: Any) -> ParticipantIdentifier:
    """Read a participant identifier; raise :class:`ValueError` if it is not one."""
    try:
        return ParticipantIdentifier.parse(text(value))
    except WireError as error:
        raise ValueError(error.text) from None


def _profiles(value: Any) -> tuple[TransportProfile, ...]:
    named = texts(value)
    if not named or len(set(named)) != len(named) or not PROFILES.keys() >= set(named):
        raise ValueError(f"is not one or several of {', '.join(PROFILES)}, each once")
    return tuple(PROFILES[name] for name in named)


def _number(value: Any) -> str:
    if not _NUMBER.fullmatch(text(value)):
        raise ValueError("is not an organisation number of ten digits, such as 2120000613")
    return str(value).replace("-", "")


def _party(value: Any) -> str:
    if not _PARTY.fullmatch(text(value)):
        raise ValueError("is not a party, such as SE:556036-0793: a country, a colon and a number")
    return str(value)


def _user(value: Any) -> str:
    if ":" in text(value):
        raise ValueError("has a colon, which no user name has (RFC 7617)")
    return str(value)


def _client_id(value: Any) -> str:
    if not _CLIENT_ID.fullmatch(text(value)):
        raise ValueError("is not 1 to 100 characters of ASCII without spaces")
    return str(value)


def _patterns(value: Any) -> tuple[AddressPattern, ...]:
    if not texts(value):
        raise ValueError("has no address")
    return patterns(texts(value))


def _scopes(value: Any) -> frozenset[Scope]:
    return _some(_known(Scope.named(name), Scope) for name in texts(value))


def _algorithms(value: Any) -> frozenset[Algorithm]:
    known = {each.value: each for each in Algorithm}
    return _some(_known(known.get(name), Algorithm) for name in texts(value))


def _known(found: T | None, names: Iterable[str]) -> T:
    if found is None:
        raise ValueError(f"is not one of {', '.join(names)}")
    return found


def _some(found: Iterable[T]) -> frozenset[T]:
    if not (some := frozenset(found)):
        raise ValueError("is empty")
    return some


def client_keys(place: Path | str | None, tls_issuers: Path | None) -> Path | KeysAt | None:
    """Return the location of a message client's keys: a file, or an ``https://`` address."""
    if isinstance(place, str):
        return KeysAt(https_address(place), tls_issuers)
    if tls_issuers is not None:
        raise ConfigError("tls_issuers", "is for keys at an address that begins with https://")
    return place


def issuer_keys(place: Path | str | None, tls_issuers: Path | None) -> KeysAt | None:
    """Return the address of an authorisation server's keys, which cannot be in a file."""
    if isinstance(place, Path):
        raise ValueError("is not an address that begins with https://")
    return None if place is None else KeysAt(https_address(place), tls_issuers)


TEXT = kind("text", text)
TEXTS = kind("list of texts", texts)
NAMES = kind("table of texts", names)
FLAG = kind("true or false", flag)
COUNT = kind("whole number from 0", count)
POSITIVE = kind("whole number from 1", positive)
PATH = Kind("path", lambda value, folder: folder / text(value))
PLACE = Kind("path or URL", _place)
CREDENTIAL = kind("name of a credential", credential)
ADDRESS = kind("address:port", _address)
ADDRESSES = kind("list of address:port", lambda value: tuple(_address(each) for each in items(value)))
LOOPBACK = kind("loopback address:port", _loopback)
SERVICE = kind("https:// address", _service)
NETWORKS = kind("list of networks", _networks)
PORT = whole(1, 65535)
HTTPS = kind("https:// address", https_address)
ORIGIN = kind("https:// and a host", _origin)
DOMAIN = kind("domain", _domain)
HOST = kind("name of a host", _host)
PARTICIPANT = kind("participant identifier", participant)
NUMBER = kind("organisation number of ten digits", _number)
PARTY = kind("party, by country and number", _party)
USER = kind("text without a colon", _user)
CLIENT_ID = kind("text of 1 to 100 ASCII characters without spaces", _client_id)
PATTERNS = kind("list of functional addresses, each with at most one `*`", _patterns)
SCOPES = kind(f"list of {', '.join(f'`{each.value}`' for each in Scope)}", _scopes)
ALGORITHMS = kind(f"list of {', '.join(f'`{each.value}`' for each in Algorithm)}", _algorithms)
PROFILE_NAMES = kind(f"list of {', '.join(f'`{each}`' for each in PROFILES)}, each once", _profiles)
TOKEN_TYPE = kind("text in any case", lambda value: text(value).lower())
