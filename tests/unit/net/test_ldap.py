"""Groups of a directory, read from a real slapd; an incomplete answer counts as no list."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ldap3.core.exceptions import LDAPInvalidDnError
from ldap3.utils.dn import parse_dn

from samdrift.net import ldap, ldapanswers
from samdrift.net.directories import DirectoryUnavailable, GroupListing, LdapSecurity, ListedPerson
from samdrift.net.ldap import THREAD, LdapDirectory, name_key
from samdrift.net.tls import client_tls
from tests.sizes import count, seed
from tests.slapd import GROUPS, PEOPLE, SUFFIX, Slapd, group, person, posix, requires_slapd
from tests.unit.net.test_tls import FIRST, SECOND, identity, localhost, write

pytestmark = requires_slapd
NIGHT = f"cn=Nattskiftet,{GROUPS}"
COMMA = f"cn=Elev\\2C hälsa,{GROUPS}"


def dn(uid: str) -> str:
    return f"uid={uid},{PEOPLE}"


@contextlib.asynccontextmanager
async def running(server: Slapd) -> AsyncIterator[Slapd]:
    await server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Slapd]:
    """Yield a directory with some groups, also over TLS, which tests leave unchanged."""
    folder = tmp_path_factory.mktemp("slapd")
    certificate = identity(folder / "server.pem", localhost(FIRST)).certificate
    made = Slapd(folder, certificate)
    made.fill(
        person("anna", name="Anna Åberg"),
        person("bo", name="Bo\u202eBerg"),
        person("cilla", subject=""),
        person("dag", subject="sub\u202edag"),
        (f"uid=eva\\2C x,{PEOPLE}", {**person("eva")[1], "uid": ["eva, x"]}),
        (f"uid=filip,{SUFFIX}", person("filip")[1]),
        person("*)(uid=*", subject="sub-star"),
        person("twin", subject="sub-one"),
        (f"cn=twin,{PEOPLE}", {**person("twin", subject="sub-two")[1]}),
        group("Nattskiftet", dn("anna"), dn("bo")),
        group("Skrivet", f"UID=Anna, OU=personer,{SUFFIX.upper()}", f"uid=eva\\, x,{PEOPLE}"),
        group("Okända", dn("cilla"), dn("dag"), f"uid=filip,{SUFFIX}", NIGHT, dn("nobody"), dn("anna")),
        (COMMA, {"objectClass": ["groupOfNames"], "cn": ["Elev, hälsa"], "member": [dn("anna")]}),
        posix("posix", "anna", "*", "*)(uid=*", "twin", "ANNA"),
        posix("tom"),
    )
    async with running(made):
        yield made


async def read(server: Slapd, name: str, **changed: object) -> GroupListing:
    return (await server.directory(**changed).read([name]))[name]


def subjects(listing: GroupListing) -> set[str]:
    return {each.subject for each in listing.people}


async def test_members_are_found_by_their_names_and_called_as_the_sign_in_service_calls_them(
    server: Slapd,
) -> None:
    found = await read(server, NIGHT)
    assert found == GroupListing(frozenset({ListedPerson("sub-anna", ""), ListedPerson("sub-bo", "")}))
    assert {each.name for each in found.people} == {"Anna Åberg", "?"}  # U+202E makes a name unusable.


async def test_a_name_that_is_written_in_another_way_is_the_same_person(server: Slapd) -> None:
    assert subjects(await read(server, f"cn=Skrivet,{GROUPS}")) == {"sub-anna", "sub-eva"}


async def test_members_who_are_no_people_of_use_are_counted_and_are_not_in_the_group(server: Slapd) -> None:
    """They lack a subject, hide a character in it, are outside the base or groups, or no longer exist."""
    found = await read(server, f"cn=Okända,{GROUPS}")
    assert (subjects(found), found.unknown) == ({"sub-anna"}, 5)


async def test_members_named_by_uid_are_exactly_those_and_no_pattern(server: Slapd) -> None:
    """A star is a star, parentheses are part of a name, and a uid of two people belongs to neither."""
    found = await read(server, f"cn=posix,{GROUPS}", member="memberUid", uid="uid")
    assert (subjects(found), found.unknown) == ({"sub-anna", "sub-star"}, 3)


async def test_a_group_whose_name_has_a_comma_is_read_by_its_escaped_name(server: Slapd) -> None:
    assert subjects(await read(server, COMMA)) == {"sub-anna"}


async def test_a_group_without_members_has_an_empty_list(server: Slapd) -> None:
    assert await read(server, f"cn=tom,{GROUPS}", member="memberUid", uid="uid") == GroupListing()


@pytest.mark.parametrize("name", [f"cn=Borta,{GROUPS}", "no name at all", "*", f"cn=*,{GROUPS}", "dc=other"])
async def test_a_group_that_is_not_there_has_no_list_and_the_others_have_theirs(
    server: Slapd, name: str
) -> None:
    found = await server.directory().read([name, NIGHT])
    assert "no such group" in found[name].fault or "distinguished name" in found[name].fault
    assert len(found[NIGHT].people) == 2


async def test_a_group_with_more_members_than_there_may_be_has_no_list(server: Slapd) -> None:
    found = await read(server, NIGHT, max_members=1)
    assert found.people == frozenset()
    assert found.fault == "it has more than 1 members"


# TLS.


@pytest.mark.parametrize("security", [LdapSecurity.TLS, LdapSecurity.STARTTLS])
async def test_a_directory_is_read_by_tls_that_is_verified(
    server: Slapd, tmp_path: Path, security: LdapSecurity
) -> None:
    trust = write(tmp_path / "trust.pem", FIRST.certificate)
    found = await server.directory(trust, security=security).read([NIGHT])
    assert len(found[NIGHT].people) == 2


@pytest.mark.parametrize("security", [LdapSecurity.TLS, LdapSecurity.STARTTLS])
async def test_a_certificate_of_another_issuer_or_name_gets_no_password(
    server: Slapd, tmp_path: Path, security: LdapSecurity
) -> None:
    other = write(tmp_path / "other.pem", SECOND.certificate)
    trust = write(tmp_path / "trust.pem", FIRST.certificate)
    for directory in (
        server.directory(other, security=security),
        server.directory(trust, security=security, host="127.0.0.2"),
    ):
        with pytest.raises(DirectoryUnavailable) as refused:
            await directory.read([NIGHT])
        assert refused.value.cause == "its certificate is not trusted"


async def test_a_directory_that_starts_no_tls_gets_no_password(tmp_path: Path) -> None:
    plain = Slapd(tmp_path / "plain")
    plain.fill(person("anna"))
    trust = write(tmp_path / "trust.pem", FIRST.certificate)
    async with running(plain):
        with pytest.raises(DirectoryUnavailable) as refused:
            await plain.directory(trust, security=LdapSecurity.STARTTLS).read([NIGHT])
    assert refused.value.cause == "it does not start TLS"


def test_tls_without_a_context_is_not_made() -> None:
    with pytest.raises(ValueError, match="verified"):
        LdapDirectory(Slapd(Path()).settings(security=LdapSecurity.TLS), None)


# Failed and incomplete answers.


async def test_a_wrong_password_is_said_to_be_one(server: Slapd) -> None:
    with pytest.raises(DirectoryUnavailable) as refused:
        await server.directory(password="another").read([NIGHT])
    assert refused.value.cause == "it refuses the user or the password"


async def test_a_filter_that_is_none_is_said_to_be_none(server: Slapd) -> None:
    with pytest.raises(DirectoryUnavailable, match="filter"):
        await server.directory(people_filter="(uid=").read([NIGHT])


async def test_a_base_that_is_not_there_is_no_answer_rather_than_an_empty_one(server: Slapd) -> None:
    with pytest.raises(DirectoryUnavailable, match="result 32"):
        await server.directory(people=f"ou=Borta,{SUFFIX}").read([NIGHT])


async def test_an_answer_that_does_not_come_in_time_is_no_answer(tmp_path: Path) -> None:
    paused = Slapd(tmp_path)
    paused.fill(person("anna"), group("Nattskiftet", dn("anna")))
    async with running(paused):
        paused.pause()
        with pytest.raises(DirectoryUnavailable) as late:
            await paused.directory(seconds=0.3).read([NIGHT])
        assert late.value.cause == "no answer in time"
        paused.go_on()
        assert len((await paused.directory().read([NIGHT]))[NIGHT].people) == 1


async def test_a_reading_has_its_time_over_all_answers() -> None:
    """A byte at a time is each in time, but the answer never comes: the library limits each byte only."""
    gone = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x30\x84\x00\x00\xf0\x00")
        with contextlib.suppress(ConnectionError):
            for _ in range(400):
                if gone.is_set():
                    break
                writer.write(b"\x00")
                await writer.drain()
                await asyncio.sleep(0.005)
        writer.close()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        made = LdapDirectory(Slapd(Path(), plain_port=port).settings(seconds=0.3), None)
        with pytest.raises(DirectoryUnavailable) as late:
            await made.read([NIGHT])
        gone.set()
    assert late.value.cause == "no answer in time"


async def test_a_reading_whose_caller_gives_up_ends_with_its_connection(tmp_path: Path) -> None:
    paused = Slapd(tmp_path)
    paused.fill(person("anna"))
    async with running(paused):
        paused.pause()
        reading = asyncio.create_task(paused.directory(seconds=3600.0).read([NIGHT]))
        async with asyncio.timeout(60):
            while not reading_threads():
                await asyncio.sleep(0.01)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        # Otherwise the thread would wait for an hour, and keep the process from exiting.
        async with asyncio.timeout(60):
            while reading_threads():
                await asyncio.sleep(0.01)


def reading_threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith(THREAD)]


async def test_directories_that_do_not_answer_keep_no_thread_from_other_work(tmp_path: Path) -> None:
    """The test uses more of them than a process has threads for all its work."""
    paused = Slapd(tmp_path)
    paused.fill(person("anna"))
    async with running(paused):
        paused.pause()
        silent = paused.directory(seconds=3600.0)
        readings = [asyncio.create_task(silent.read([NIGHT])) for _ in range(40)]
        await asyncio.sleep(0)
        other = asyncio.create_task(asyncio.to_thread(lambda: "done"))
        done, _ = await asyncio.wait([other], timeout=60)
        for each in readings:
            each.cancel()
        await asyncio.gather(*readings, return_exceptions=True)
        assert other in done


async def test_a_directory_that_lists_a_part_is_no_answer(tmp_path: Path) -> None:
    limited = Slapd(tmp_path, size_limit="2")
    limited.fill(*(person(f"p{number}") for number in range(4)), group("Nattskiftet", dn("p1")))
    async with running(limited):
        with pytest.raises(DirectoryUnavailable, match="limit"):
            await limited.directory().read([NIGHT])


async def test_too_many_bytes_or_people_end_a_reading(server: Slapd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ldap, "MAX_PEOPLE", 3)
    with pytest.raises(DirectoryUnavailable, match="more than 3 people"):
        await server.directory().read([NIGHT])
    monkeypatch.setattr(ldapanswers, "MAX_BYTES", 100)
    with pytest.raises(DirectoryUnavailable, match="sends more than"):
        await server.directory().read([NIGHT])


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x05\x02\x01\x01\x61\x00",
        b"\x00" * 64,
    ],
    ids=["nothing", "another protocol", "endless", "cut", "zeros"],
)
async def test_bytes_that_are_no_answer_are_said_to_be_none(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        made = LdapDirectory(Slapd(Path(), plain_port=port).settings(seconds=20.0), None)
        with pytest.raises(DirectoryUnavailable) as refused:
            await made.read([NIGHT])
    assert "HTTP" not in str(refused.value)


async def test_nobody_listening_is_said_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        made = LdapDirectory(Slapd(Path(), plain_port=taken.getsockname()[1]).settings(), None)
        with pytest.raises(DirectoryUnavailable) as refused:
            await made.read([NIGHT])
    assert refused.value.cause == "connection refused"


async def test_ten_thousand_members_are_read_in_pages(tmp_path: Path) -> None:
    many = [f"p{number:05}" for number in range(10_000)]
    large = Slapd(tmp_path)
    large.fill(*map(person, many), group("Alla", *map(dn, many)))
    async with running(large):
        found = await read(large, f"cn=Alla,{GROUPS}")
    assert (len(found.people), found.unknown, found.fault) == (10_000, 0, "")


def test_a_distinguished_name_has_one_key_for_all_ways_of_writing_it() -> None:
    same = ["cn=Åsa\\, x,dc=se", "CN=åsa\\2c  X, DC=SE", "cn=\\c3\\85sa\\2C x,dc=se"]
    assert len({name_key(each) for each in same}) == 1
    assert name_key("cn=a+ou=b,dc=se") == name_key("ou=b+cn=a,dc=se")
    assert name_key("cn=a\\,dc=se,dc=x") != name_key("cn=a,dc=se,dc=x")
    assert name_key("no name") is None


def test_a_distinguished_name_is_read_as_the_library_reads_it() -> None:
    """Its parser goes over the rest of a name again for each part."""
    drawn, keys = random.Random(seed(14)), Counter[bool]()
    pieces = [
        "cn",
        "OU",
        "=",
        "=",
        ",",
        "+",
        "a",
        "å",
        " ",
        "\\",
        "\\,",
        "\\2c",
        "\\c3\\85",
        '"',
        "#",
        "1",
        ";",
        "-",
    ]
    for _ in range(count(20_000, 1_000_000)):
        name = "".join(drawn.choices(pieces, k=drawn.randrange(12)))
        name = name if drawn.random() < 0.5 else f"cn={name},dc=se"
        assert name_key(name) == _key_by_the_library(name), name
        keys[name_key(name) is None] += 1
    assert min(keys[True], keys[False]) > 1000


def _key_by_the_library(name: str) -> object:
    try:
        parts = parse_dn(name, escape=False, strip=True)
    except LDAPInvalidDnError:
        return None
    key: list[list[tuple[str, str]]] = [[]]
    for attribute, value, separator in parts:
        key[-1].append((attribute.lower(), " ".join(ldap._unescaped(value).casefold().split())))
        if separator == ",":
            key.append([])
    return tuple(tuple(sorted(each)) for each in key)


def test_a_context_for_directories_checks_names() -> None:
    assert client_tls(http=False).current().check_hostname
