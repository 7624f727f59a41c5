"""A directory that lies: half a list is not a list, and a name of two people belongs to neither."""

from __future__ import annotations

import pytest

from samdrift.net.directories import DirectoryUnavailable, GroupListing
from samdrift.net.ldapanswers import MAX_OF_GROUP
from tests.lyingldap import Asked, Said, Says, ber, entry, lying, reference
from tests.slapd import GROUPS, PEOPLE

NIGHT = f"cn=Nattskiftet,{GROUPS}"
ELSEWHERE = "ldap://elsewhere.example/ou=Personer,dc=habo,dc=se"


def dn(uid: str) -> str:
    return f"uid={uid},{PEOPLE}"


def person(uid: str, name: str = "") -> bytes:
    return entry(name or dn(uid), {"cn": [uid], "employeeNumber": [f"sub-{uid}"]})


def says(group: Says, *people: bytes) -> Says:
    """Return a directory with these people, and a group that answers so."""

    def said(asked: Asked) -> Said:
        return Said(people) if asked.base == PEOPLE else group(asked)

    return said


def members(**ranges: Said) -> Says:
    """Return a group's answers to each range, by its start; ``of0`` is the first."""

    def said(asked: Asked) -> Said:
        assert asked.base == NIGHT
        (attribute,) = asked.attributes
        _, _, begin = attribute.partition(";range=")
        return ranges[f"of{begin.partition('-')[0] or 0}"]

    return said


def part(option: str, *uids: str) -> Said:
    """Return a range of members as Active Directory sends it."""
    return Said((entry(NIGHT, {"member": [], f"member;range={option}": [dn(each) for each in uids]}),))


async def read(said: Says) -> GroupListing:
    async with lying(said) as directory:
        return (await directory.read([NIGHT]))[NIGHT]


def subjects(found: GroupListing) -> set[str]:
    return {each.subject for each in found.people}


FOUR = tuple(person(each) for each in ("a", "b", "c", "d"))


async def test_members_that_come_in_ranges_are_all_read() -> None:
    """Active Directory sends more than 1500 members in ranges."""
    found = await read(says(members(of0=part("0-1", "a", "b"), of2=part("2-*", "c", "d")), *FOUR))
    assert subjects(found) == {"sub-a", "sub-b", "sub-c", "sub-d"}
    repeated = entry(NIGHT, {"member;range=2-*": [], "member;range=2-2": [dn("c")]})
    three = members(of0=part("0-1", "a", "b"), of2=Said((repeated,)), of3=part("3-*"))
    assert subjects(await read(says(three, *FOUR))) == {"sub-a", "sub-b", "sub-c"}


@pytest.mark.parametrize(
    "second",
    [
        Said(code=51),
        Said(code=32),
        Said(),
        part("3-*", "c", "d"),
        part("2-9", "c", "d"),
        part("2-3"),
        part("0-1", "a", "b"),
        part("x", "c"),
        Said((entry(NIGHT, {"member": [dn("c")]}),)),
        Said((entry(NIGHT, {}),)),
        Said((entry(NIGHT, {"member;range=2-2": [dn("c")], "member;range=3-*": [dn("d")]}),)),
        Said((reference(ELSEWHERE),)),
    ],
    ids=[
        *("busy", "gone", "nothing", "later", "longer", "empty", "the first again", "no range"),
        *("without a range", "no member", "two ranges", "elsewhere"),
    ],
)
async def test_a_range_that_does_not_come_is_no_end_of_the_list(second: Said) -> None:
    """Members in the missing part would be removed from the group."""
    with pytest.raises(DirectoryUnavailable):
        await read(says(members(of0=part("0-1", "a", "b"), of2=second), *FOUR))


async def test_members_beside_a_range_are_no_list() -> None:
    both = Said((entry(NIGHT, {"member": [dn("a")], "member;range=0-*": [dn("b")]}),))
    with pytest.raises(DirectoryUnavailable):
        await read(says(members(of0=both), *FOUR))


async def test_ranges_without_end_are_a_group_with_too_many_members() -> None:
    def said(asked: Asked) -> Said:
        _, _, begin = asked.attributes[0].partition(";range=")
        number = int(begin.partition("-")[0] or 0)
        return part(f"{number}-{number + 4999}", *["a"] * 5000)

    assert (await read(says(said, *FOUR))).fault == "it has more than 10000 members"


async def test_two_whose_names_are_the_same_in_other_ways_of_writing_are_nobody() -> None:
    """The directory may compare names differently than we do, which must not turn one person into another."""
    people = (person("one", f"cn=Å  B,{PEOPLE}"), person("two", f"cn=\\C3\\85 b,{PEOPLE}"))
    group = Said((entry(NIGHT, {"member": [f"CN=å B,{PEOPLE.upper()}"]}),))
    found = await read(says(members(of0=group), *people))
    assert (subjects(found), found.unknown) == (set(), 1)
    found = await read(says(members(of0=group), people[1]))
    assert subjects(found) == {"sub-two"}


async def test_two_entries_are_not_the_one_group_that_was_asked_for() -> None:
    group = (entry(NIGHT, {"member": [dn("a")]}), entry(f"cn=Chefer,{GROUPS}", {"member": [dn("b")]}))
    found = await read(says(members(of0=Said(group)), *FOUR))
    assert found.people == frozenset()
    assert "no such group" in found.fault


async def test_a_person_with_two_subjects_or_one_that_is_too_long_is_not_in_the_group() -> None:
    subjects_ = {"a": ["x" * 256], "b": ["x" * 257], "c": ["one", "two"]}
    people = (entry(dn(uid), {"cn": [uid], "employeeNumber": those}) for uid, those in subjects_.items())
    group = Said((entry(NIGHT, {"member": [dn(each) for each in subjects_]}),))
    found = await read(says(members(of0=group), *people))
    assert (subjects(found), found.unknown) == ({"x" * 256}, 2)


async def test_what_is_at_another_server_is_no_whole_answer() -> None:
    group = members(of0=Said((entry(NIGHT, {"member": [dn("a")]}),)))
    with pytest.raises(DirectoryUnavailable, match="another server"):
        await read(says(group, *FOUR, reference(ELSEWHERE)))
    with pytest.raises(DirectoryUnavailable, match="result 10"):
        await read(says(members(of0=Said(code=10)), *FOUR))


async def test_people_in_pages_are_read_to_the_last_page_whatever_their_order() -> None:
    pages = {b"": Said(FOUR[2:], cookie=b"next"), b"next": Said(FOUR[:1], cookie=b"")}
    group = members(of0=Said((entry(NIGHT, {"member": [dn("a"), dn("b"), dn("c")]}),)))

    def said(asked: Asked) -> Said:
        return group(asked) if asked.base == NIGHT else pages[asked.cookie or b""]

    found = await read(said)
    assert (subjects(found), found.unknown) == ({"sub-a", "sub-c"}, 1)
    pages[b"next"] = Said(FOUR[:1], code=51)
    with pytest.raises(DirectoryUnavailable):
        await read(said)


async def test_no_alias_is_followed_out_of_the_base_or_to_another_group() -> None:
    asked = list[Asked]()
    group = members(of0=Said((entry(NIGHT, {"member": [dn("a")]}),)))

    def said(one: Asked) -> Said:
        asked.append(one)
        return Said(FOUR) if one.base == PEOPLE else group(one)

    await read(said)
    assert [each.aliases for each in asked] == [0, 0]


@pytest.mark.parametrize(
    ("people", "cause"),
    [
        ([entry(dn("a"), {"employeeNumber": ["1"] * 100})], "more than 100 elements"),
        ([entry(dn("a"), {str(each): ["1"] for each in range(25)})], "more than 100 elements"),
        ([entry(dn("a"), {"cn": ["x" * 70_000]})], "more than 64 kB"),
        ([ber(0x64, b"\x02\x09" + bytes(9))], "cannot be read"),
        ([ber(0x64, b"\x04\x00", b"\x30\x02\x30\x7f")], "cannot be read"),
    ],
    ids=["values", "attributes", "bytes", "a number", "overlaps"],
)
async def test_a_person_who_takes_more_work_than_one_does_ends_the_reading(
    people: list[bytes], cause: str
) -> None:
    group = members(of0=Said((entry(NIGHT, {"member": [dn("a")]}),)))
    with pytest.raises(DirectoryUnavailable, match=cause):
        await read(says(group, *people))


async def test_a_group_of_more_members_than_people_can_be_ends_the_reading() -> None:
    one = ber(0x04, dn("a").encode())
    many = ber(0x30, ber(0x04, b"member"), ber(0x31, one * MAX_OF_GROUP[1]))
    group = members(of0=Said((ber(0x64, ber(0x04, NIGHT.encode()), ber(0x30, many)),)))
    with pytest.raises(DirectoryUnavailable, match="more than 100100 elements"):
        await read(says(group, *FOUR))


async def test_pages_and_ranges_that_lead_on_without_end_are_no_list() -> None:
    asked = list[Asked]()
    group = members(of0=Said((entry(NIGHT, {"member": [dn("a")]}),)))

    def pages(one: Asked) -> Said:
        asked.append(one)
        return Said(cookie=b"on") if one.base == PEOPLE else group(one)

    with pytest.raises(DirectoryUnavailable, match="more than 1000 pages"):
        await read(pages)
    assert len(asked) == 1001
    asked.clear()

    def ranges(one: Asked) -> Said:
        asked.append(one)
        number = int(one.attributes[0].partition(";range=")[2].partition("-")[0] or 0)
        return part(f"{number}-{number}", "a")

    with pytest.raises(DirectoryUnavailable, match="more than 100 ranges"):
        await read(ranges)
    assert len(asked) == 100


async def test_a_group_within_a_group_is_not_asked_about() -> None:
    """A member that is a group, even the group itself, costs only its name."""
    asked = list[Asked]()
    inner = f"cn=Chefer,{GROUPS}"
    group = members(of0=Said((entry(NIGHT, {"member": [dn("a"), inner, NIGHT]}),)))

    def said(one: Asked) -> Said:
        asked.append(one)
        return Said(FOUR) if one.base == PEOPLE else group(one)

    found = await read(said)
    assert (subjects(found), found.unknown) == ({"sub-a"}, 2)
    assert [each.base for each in asked] == [NIGHT, PEOPLE]
