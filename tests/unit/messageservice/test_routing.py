"""Routing of functional addresses to message clients, so that no message is left unseen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.contracts.messageclients import Scope, patterns
from samdrift.messageservice.access import Access
from samdrift.messageservice.oauth.registrations import MessageClient, OrganisationClients, Routing, Share
from samdrift.wire.identifiers import ParticipantIdentifier

HABO = ParticipantIdentifier.parse("0203:habo.se")


def share(client: str, *addresses: str, default: bool = False) -> Share:
    return Share(client, patterns(addresses), default)


def test_an_address_belongs_to_the_client_whose_pattern_covers_it() -> None:
    """Clauses: content-specification 2.1 sentence 1."""
    routing = Routing([share("school", "*.skola.habo.se"), share("care", "omsorg.habo.se")])
    assert routing.clients("a.skola.habo.se") == ("school",)
    assert routing.clients("omsorg.habo.se") == ("care",)
    assert routing.clients("x.habo.se") == ()


def test_where_patterns_overlap_both_see_the_messages() -> None:
    routing = Routing([share("school", "*.skola.habo.se"), share("all", "*", default=True)])
    assert routing.clients("a.skola.habo.se") == ("school", "all")


def test_what_no_pattern_covers_belongs_to_the_default() -> None:
    routing = Routing([share("school", "*.skola.habo.se"), share("desk", "desk.habo.se", default=True)])
    assert routing.clients("a.skola.habo.se") == ("school",)
    assert routing.clients("desk.habo.se") == ("desk",)
    assert routing.clients("nobody.foresaw.this") == ("desk",)
    assert routing.unassigned(["a.skola.habo.se", "x"]) == ()


def test_without_a_default_it_is_known_what_nobody_gets() -> None:
    routing = Routing([share("school", "*.skola.habo.se")])
    assert routing.unassigned({"y.habo.se", "a.skola.habo.se", "x.habo.se"}) == ("x.habo.se", "y.habo.se")


def test_there_is_one_default_at_most() -> None:
    with pytest.raises(ValueError, match="default"):
        Routing([share("a", default=True), share("b", default=True)])


_ADDRESSES = st.from_regex(r"[ab.]{1,4}", fullmatch=True)
_PATTERNS = st.from_regex(r"[ab.]{0,3}\*[ab.]{0,3}|[ab.]{1,4}", fullmatch=True)


@given(st.lists(st.lists(_PATTERNS, max_size=3), min_size=1, max_size=4), st.integers(-1, 3), _ADDRESSES)
def test_what_a_client_may_see_is_what_is_routed_to_it(
    owned: list[list[str]], default: int, address: str
) -> None:
    """The access that a token opens agrees with the routing for every address."""
    shares = [share(str(number), *each, default=number == default) for number, each in enumerate(owned)]
    routing = Routing(shares)
    for each in shares:
        access = Access(HABO, each.client, frozenset(), each.patterns, routing.others(each.client))
        assert access.covers(address) is (each.client in routing.clients(address))
    assert bool(routing.clients(address)) is not bool(routing.unassigned([address]))


def test_nobody_is_the_default_unless_it_is_said() -> None:
    assert Routing([Share("desk", patterns(["desk.habo.se"]))]).clients("x.habo.se") == ()
    desk = MessageClient("desk", patterns(["desk.habo.se"]), frozenset(Scope))
    assert OrganisationClients({"desk": desk}).routing.clients("x.habo.se") == ()


def test_a_client_is_the_default_by_its_name_and_not_by_where_that_was_read() -> None:
    routing = Routing([share("school", "*.skola.habo.se"), share("desk", default=True)])
    assert routing.others(b"desk".decode()) == patterns(["*.skola.habo.se"])
    assert routing.others("school") is None


@pytest.mark.parametrize("scope", Scope)
def test_readers_of_an_address_are_the_clients_that_may_list_read_or_delete(scope: Scope) -> None:
    """A client that may only send or follow the log does not take addresses from those that read."""
    clients = {
        "one": MessageClient("one", patterns(["*"]), frozenset({scope})),
        "rest": MessageClient("rest", (), frozenset({Scope.READ}), default=True),
    }
    reads = scope in {Scope.LIST, Scope.READ, Scope.DELETE}
    assert OrganisationClients(clients).readers("a.habo.se") == (("one",) if reads else ("rest",))
