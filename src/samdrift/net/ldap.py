"""Reading of an organisation's directory groups by LDAP (RFC 4511), over verified TLS.

Clauses: architecture-sad 5.4 step 3.

One reading is one connection: it logs in, reads the entry of each group, and pages through the people under
one base, which it matches with the groups' members by distinguished name or uid. Directory content never
becomes part of a filter or another query. Any failure (a refusal, a partial or late response, too much work)
raises :class:`DirectoryUnavailable` and returns no list, so a list is always complete. The directory's own
error texts are dropped.

ldap3 blocks, so each reading has a thread of its own. Its socket has a time limit for the whole reading,
because the library limits only single responses, and delivers only what :mod:`samdrift.net.ldapanswers`
accepts.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import ssl
import threading
import time
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import ldap3
from ldap3.core.exceptions import (
    LDAPCertificateError,
    LDAPException,
    LDAPInvalidDnError,
    LDAPInvalidFilterError,
    LDAPStartTLSError,
)

from samdrift.net.directories import (
    DirectoryUnavailable,
    GroupListing,
    LdapSecurity,
    LdapSettings,
    ListedPerson,
)
from samdrift.net.ldapanswers import MAX_OF_GROUP, MAX_OF_PERSON, Answers, UnfitAnswer
from samdrift.net.tls import TlsContext

K = TypeVar("K")

THREAD = "directory"
"""Name of the thread in which a directory is read."""
_PAGE = 500
MAX_PEOPLE = 100_000
"""Maximum number of people under the base."""
_MAX_PAGES = 1_000
"""Maximum number of pages in which people are listed, some of them empty."""
_MAX_RANGES = 100
"""Maximum number of ranges in which a group's members are returned."""
_CHUNK = 64 << 10
MAX_SUBJECT = 256
_MAX_NAME = 100
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_PAGED = "1.2.840.113556.1.4.319"
_NO_SUCH_OBJECT, _INVALID_NAME, _INVALID_CREDENTIALS, _SIZE_LIMIT = 32, 34, 49, 4
_ERRNO = re.compile(r"\[Errno (\d{1,3})\]")
_NAMED = re.compile(r"((?:[^\\,+]|\\.)*+)([,+]|\Z)", re.DOTALL)
"""An attribute-value pair of a distinguished name, and the separator after it (RFC 4514)."""
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_VALUE = re.compile(r'(?:[^\\"#+,;<=>\0]|\\[0-9A-Fa-f]{2}|\\[ "#+,;<=>\\\0])+')
_RANGED = re.compile(r"range=(\d{1,9})-(\d{1,9}|\*)")
_CUT = "it returns only some of a group's members"
_ESCAPED = re.compile(r"(?:\\[0-9A-Fa-f]{2})+|\\.", re.DOTALL)


class LdapDirectory:
    """Client that reads groups from one directory."""

    def __init__(self, settings: LdapSettings, tls: TlsContext | None) -> None:
        """Use ``settings``; ``tls`` may be ``None`` only for a connection without TLS."""
        if tls is None and settings.security is not LdapSecurity.NONE:
            raise ValueError("TLS is verified by a context")
        self.settings = settings
        self._tls = tls

    async def read(self, groups: Collection[str]) -> Mapping[str, GroupListing]:
        """Return the people in each group, by the group's distinguished name.

        Raises :class:`DirectoryUnavailable` if any part of the reading fails.
        """
        reading = _Reading(self.settings, self._tls.current() if self._tls else None)
        thread = ThreadPoolExecutor(1, THREAD)  # A slow directory must not block the shared threads.
        try:
            running = asyncio.get_running_loop().run_in_executor(thread, reading.run, tuple(groups))
            return await running
        finally:
            reading.abort()  # If the caller was cancelled, the thread ends with its connection.
            thread.shutdown(wait=False)


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    values: Mapping[str, Sequence[bytes]]

    def texts(self, attribute: str) -> list[str]:
        """Return the values of an attribute that are readable text."""
        found = [_text(each) for each in self.values.get(attribute.lower(), ())]
        return [each for each in found if each]


class _Bounded:
    """A socket with the time limit and size limits of its reading."""

    def __init__(self, inner: Any, reading: _Reading) -> None:
        self.inner = inner
        self._reading = reading

    def recv(self, _: int) -> bytes:
        """Return complete responses, whatever their size; empty bytes at the end."""
        while True:
            self.inner.settimeout(self._reading.remaining())
            data: bytes = self.inner.recv(_CHUNK)
            if not data:
                return b""
            if whole := self._reading.arrived(data):
                return whole

    def sendall(self, data: bytes) -> None:
        self.inner.settimeout(self._reading.remaining())
        self.inner.sendall(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class _Tls(ldap3.Tls):  # type: ignore[misc]
    """TLS with our own context, which checks the name in the certificate; ldap3's own is never created."""

    def __init__(self, context: ssl.SSLContext, reading: _Reading) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context
        self._reading = reading

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        plain = connection.socket.inner if isinstance(connection.socket, _Bounded) else connection.socket
        plain.settimeout(self._reading.remaining())
        try:
            wrapped = self._context.wrap_socket(plain, server_hostname=connection.server.host)
        except ssl.SSLCertVerificationError:
            self._reading.fault = "its certificate is not trusted"
            raise
        connection.socket = self._reading.bound(wrapped)


class _Reading:
    """One reading, which runs in a thread of its own."""

    def __init__(self, settings: LdapSettings, context: ssl.SSLContext | None) -> None:
        self._settings = settings
        self._context = context
        self._until = time.monotonic() + settings.seconds
        self._answers = Answers()
        self._socket: _Bounded | None = None
        self._aborted = threading.Event()
        self.fault = ""
        """Reason why the connection was abandoned, if it was."""

    def remaining(self) -> float:
        """Return the remaining time in seconds; raise :class:`TimeoutError` if there is none."""
        left = self._until - time.monotonic()
        if left <= 0 or self._aborted.is_set():
            self.fault = "no answer in time"
            raise TimeoutError(self.fault)
        return left

    def arrived(self, data: bytes) -> bytes:
        """Return the responses that ``data`` completes; raise :class:`UnfitAnswer` for an unfit one."""
        try:
            return self._answers.arrived(data)
        except UnfitAnswer as unfit:
            self.fault = str(unfit)
            raise

    def bound(self, inner: Any) -> _Bounded:
        """Wrap a socket in the limits of this reading."""
        self._socket = _Bounded(inner, self)
        return self._socket

    def abort(self) -> None:
        """Close the connection, from another thread."""
        self._aborted.set()
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.inner.shutdown(socket.SHUT_RDWR)

    def run(self, groups: Sequence[str]) -> Mapping[str, GroupListing]:
        try:
            connection = self._connected()
            try:
                return self._read(connection, groups)
            finally:
                with contextlib.suppress(Exception):  # Must not replace the result or an earlier error.
                    connection.unbind()
        except DirectoryUnavailable:
            raise
        except LDAPInvalidFilterError:
            raise DirectoryUnavailable("the filter for people is not one of LDAP (RFC 4515)") from None
        except Exception as error:  # The library may raise anything for a malformed response.
            raise DirectoryUnavailable(self.fault or _reason(error)) from None

    def _connected(self) -> Any:
        own = self._settings
        tls = None if self._context is None else _Tls(self._context, self)
        server = ldap3.Server(
            own.host,
            own.port,
            use_ssl=own.security is LdapSecurity.TLS,
            tls=tls,
            get_info=ldap3.NONE,
            connect_timeout=max(1, int(min(10.0, self.remaining()))),
        )
        connection = ldap3.Connection(
            server,
            own.user,
            own.password,
            authentication=ldap3.SIMPLE,
            read_only=True,
            check_names=False,
            auto_referrals=False,
            auto_range=False,  # The library treats a missing range as the end of the list.
            return_empty_attributes=False,
            receive_timeout=max(1, int(self.remaining())),
        )
        connection.open(read_server_info=False)
        if own.security is not LdapSecurity.TLS:
            connection.socket = self.bound(connection.socket)
        if own.security is LdapSecurity.STARTTLS:
            self._start_tls(connection)
        if not connection.bind(read_server_info=False):
            refused = connection.result["result"] == _INVALID_CREDENTIALS
            raise DirectoryUnavailable(
                "it refuses the user or the password" if refused else _code(connection)
            )
        return connection

    def _start_tls(self, connection: Any) -> None:
        """Switch to TLS before sending anything else; raise :class:`DirectoryUnavailable` if that fails."""
        try:
            started = connection.start_tls(read_server_info=False)
        except LDAPStartTLSError:
            started = False
        if not (started and connection.tls_started):
            raise DirectoryUnavailable(self.fault or "it does not start TLS")

    def _read(self, connection: Any, groups: Sequence[str]) -> Mapping[str, GroupListing]:
        listed = {each: self._members(connection, each) for each in groups}
        if all(isinstance(each, str) for each in listed.values()):
            return {group: GroupListing(fault=str(found)) for group, found in listed.items()}
        people = _People(self._people(connection), self._settings)
        return {
            group: GroupListing(fault=found) if isinstance(found, str) else people.among(found)
            for group, found in listed.items()
        }

    def _members(self, connection: Any, group: str) -> list[str] | str:
        """Return the member values of a group, or the reason why there are none.

        Active Directory returns large groups in ranges, each requested by its start (MS-ADTS
        3.1.1.3.1.3.3).
        """
        attribute, values = self._settings.member, list[bytes]()
        asked = attribute
        self._answers.most = MAX_OF_GROUP
        for _ in range(_MAX_RANGES):
            found = self._group(connection, group, asked)
            if isinstance(found, str):
                if values:
                    raise DirectoryUnavailable(_CUT)
                return found
            part, more = _part(found, attribute.lower(), len(values))
            values += part
            if len(values) > self._settings.max_members:
                return f"it has more than {self._settings.max_members} members"
            if not more:
                return [_text(each) for each in values]
            asked = f"{attribute};range={len(values)}-*"
        raise DirectoryUnavailable(f"it returns a group's members in more than {_MAX_RANGES} ranges")

    def _group(self, connection: Any, group: str, attribute: str) -> _Entry | str:
        """Return the entry of a group with one attribute, or the reason why it cannot be read."""
        try:
            connection.search(
                group,
                "(objectClass=*)",
                ldap3.BASE,
                dereference_aliases=ldap3.DEREF_NEVER,
                attributes=[attribute],
            )
        except LDAPInvalidDnError:
            return "it has no distinguished name"
        code = connection.result["result"]
        if code in (_NO_SUCH_OBJECT, _INVALID_NAME):
            return "there is no such group, or it may not be read"
        if code != 0:
            raise DirectoryUnavailable(_code(connection))
        entries = list(_entries(connection))
        return entries[0] if len(entries) == 1 else "there is no such group, or it may not be read"

    def _people(self, connection: Any) -> Iterator[_Entry]:
        own, cookie, count = self._settings, None, 0
        attributes = [each for each in (own.subject, own.name, own.uid) if each]
        self._answers.most = MAX_OF_PERSON
        for _ in range(_MAX_PAGES):
            connection.search(
                own.people,
                own.people_filter,
                ldap3.SUBTREE,
                dereference_aliases=ldap3.DEREF_NEVER,
                attributes=attributes,
                paged_size=_PAGE,
                paged_cookie=cookie,
                time_limit=max(1, int(self.remaining())),
            )
            if connection.result["result"] != 0:
                raise DirectoryUnavailable(_code(connection))
            for each in _entries(connection):
                count += 1
                if count > MAX_PEOPLE:
                    raise DirectoryUnavailable(f"more than {MAX_PEOPLE} people are under the base")
                yield each
            paged = (connection.result.get("controls") or {}).get(_PAGED)
            cookie = paged["value"]["cookie"] if paged else None
            if not cookie:
                return
        raise DirectoryUnavailable(f"it lists people in more than {_MAX_PAGES} pages")


class _People:
    """The people in a directory, indexed by the values that groups list as members."""

    def __init__(self, entries: Iterable[_Entry], settings: LdapSettings) -> None:
        self._by_uid = bool(settings.uid)
        self._known: dict[str, ListedPerson | None] = {}
        """People by name; ``None`` for a name that several different people have."""
        self._names: list[tuple[str, ListedPerson | None]] = []
        for entry in entries:
            subjects = entry.texts(settings.subject)
            fits = len(subjects) == 1 and len(subjects[0]) <= MAX_SUBJECT
            names = entry.texts(settings.name)
            person = ListedPerson(subjects[0], names[0][:_MAX_NAME] if names else "?") if fits else None
            for each in entry.texts(settings.uid) if self._by_uid else [entry.name]:
                _lead(self._known, each if self._by_uid else each.casefold(), person)
                self._names.append((each, person))

    def among(self, members: Iterable[str]) -> GroupListing:
        """Return the people that the member values of a group refer to."""
        found, unknown = set[ListedPerson](), 0
        for each in members:
            person = self._find(each)
            if person is None:
                unknown += 1
            else:
                found.add(person)
        return GroupListing(frozenset(found), unknown)

    def _find(self, member: str) -> ListedPerson | None:
        if self._by_uid:
            return self._known.get(member)
        if member.casefold() in self._known:
            return self._known[member.casefold()]
        key = name_key(member)
        return None if key is None else self._parsed.get(key)

    @cached_property
    def _parsed(self) -> Mapping[tuple[Any, ...], ListedPerson | None]:
        """People by their parsed distinguished name, because the same name can be written in several ways."""
        parsed: dict[tuple[Any, ...], ListedPerson | None] = {}
        for name, person in self._names:
            key = name_key(name)
            if key is not None:
                _lead(parsed, key, person)
        return parsed


def _lead(known: dict[K, ListedPerson | None], name: K, person: ListedPerson | None) -> None:
    """Map a name to a person, or to ``None`` if another person has it too."""
    known[name] = person if known.get(name, person) == person else None


def name_key(name: str) -> tuple[Any, ...] | None:
    """Return a key for a distinguished name (RFC 4514) that is equal for all ways of writing it."""
    key: list[list[tuple[str, str]]] = [[]]
    at, separator = 0, ","
    while separator:
        found = _NAMED.match(name, at)
        if found is None:
            return None
        attribute, _, value = found[1].partition("=")
        attribute, value, separator = attribute.strip(), value.strip(), found[2]
        if not (_KIND.fullmatch(attribute) and _VALUE.fullmatch(value)):
            return None
        key[-1].append((attribute.lower(), " ".join(_unescaped(value).casefold().split())))
        if separator == ",":
            key.append([])
        at = found.end()
    return tuple(tuple(sorted(each)) for each in key)


def _unescaped(value: str) -> str:
    def plain(found: re.Match[str]) -> str:
        text = found.group()
        if len(text) == 2:
            return text[1]
        return bytes.fromhex(text.replace("\\", "")).decode(errors="replace")

    return _ESCAPED.sub(plain, value)


def _part(group: _Entry, attribute: str, begin: int) -> tuple[Sequence[bytes], bool]:
    """Return the members in a range that starts at ``begin``, and whether there are more."""
    plain, ranged = group.values.get(attribute, ()), dict[str, Sequence[bytes]]()
    for name, values in group.values.items():
        bare, semicolon, option = name.partition(";")
        if bare == attribute and semicolon:
            ranged[option] = values
    if len(ranged) > 1:  # Active Directory may also return the requested range, without values.
        ranged = {option: values for option, values in ranged.items() if values}
    if not ranged and not begin:
        return plain, False
    found = [_RANGED.fullmatch(option) for option in ranged]
    if plain or len(found) != 1 or found[0] is None or int(found[0][1]) != begin:
        raise DirectoryUnavailable(_CUT)
    (values,) = ranged.values()
    if found[0][2] == "*":
        return values, False
    if not values or int(found[0][2]) - begin + 1 != len(values):
        raise DirectoryUnavailable(_CUT)
    return values, True


def _entries(connection: Any) -> Iterator[_Entry]:
    for each in connection.response or ():
        if each.get("type") == "searchResRef":
            raise DirectoryUnavailable("it refers to another server for part of the answer")
        if each.get("type") == "searchResEntry":
            values = {str(name).lower(): found or () for name, found in each["raw_attributes"].items()}
            yield _Entry(str(each["dn"]), values)


def _text(value: bytes) -> str:
    """Return a value as text; empty if it is not text, or has invisible characters or outer whitespace."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return ""
    hidden = any(unicodedata.category(each) in _INVISIBLE for each in set(text))
    return "" if hidden or text != text.strip() else text


def _code(connection: Any) -> str:
    code = int(connection.result["result"])
    if code == _SIZE_LIMIT:
        return "it lists no more than its own limit (result 4): raise it for this user"
    if code == _INVALID_CREDENTIALS:
        return "it refuses the user or the password"
    return f"result {code}"


def _reason(error: Exception) -> str:
    """Return why a directory cannot be read, without quoting the directory."""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    if any(isinstance(each, ssl.SSLCertVerificationError | LDAPCertificateError) for each in chain):
        return "its certificate is not trusted"
    if any(isinstance(each, TimeoutError) for each in chain):
        return "no answer in time"
    if any(isinstance(each, ssl.SSLError) for each in chain):
        return "TLS negotiation failed"
    if not isinstance(error, LDAPException | OSError):
        return "its answer cannot be read"
    said = next((each.strerror for each in chain if isinstance(each, OSError) and each.strerror), "")
    number = _ERRNO.search(str(error))  # The library only passes on the text of a system error.
    return (said or (os.strerror(int(number[1])) if number else "")).lower() or "no connection"
