"""Due work is found in order, and other work is not looked at."""

from __future__ import annotations

import random

from samdrift.scheduling.agenda import _SPARE, Agenda
from tests.sizes import count, seed


def test_what_has_come_is_taken_once_and_in_order() -> None:
    agenda = Agenda[str, int]()
    for thing, when in (("c", 3), ("a", 1), ("b", 2), ("d", 4)):
        agenda.put(thing, when)
    assert agenda.first() == 1
    assert agenda.take(3) == [("a", 1), ("b", 2), ("c", 3)]
    assert agenda.take(3) == []
    assert (agenda.first(), agenda.moment("d"), agenda.moment("a")) == (4, 4, None)
    agenda.drop("d")
    assert agenda.first() is None
    assert "d" not in agenda


def test_a_thing_comes_at_its_last_moment_alone() -> None:
    agenda = Agenda[str, int]()
    for when in (5, 1, 3, 5, 2):
        agenda.put("a", when)
    assert agenda.take(1) == []
    assert agenda.take(9) == [("a", 2)]
    assert agenda.take(9) == []


def test_it_does_as_a_list_that_is_gone_through_each_time() -> None:
    rng = random.Random(seed("agenda"))
    agenda, known = Agenda[int, int](), dict[int, int]()
    for now in range(count(2_000, 100_000)):
        for _ in range(rng.randrange(3)):
            thing = rng.randrange(50)
            if rng.random() < 0.2:
                agenda.drop(thing)
                known.pop(thing, None)
            else:
                agenda.put(thing, now + rng.randrange(100))
                known[thing] = agenda.moment(thing) or 0
        assert agenda.first() == min(known.values(), default=None)
        due = {thing: when for thing, when in known.items() if when <= now}
        assert dict(agenda.take(now)) == due
        known = {thing: when for thing, when in known.items() if thing not in due}
        assert agenda.things() == known.keys()


def test_what_is_put_off_again_and_again_takes_no_more_room() -> None:
    agenda = Agenda[str, int]()
    agenda.put("soon", 0)
    for when in range(10_000):
        agenda.put("late", 10 + when)
    assert len(agenda._order) <= _SPARE + 5
    assert agenda.take(10_009) == [("soon", 0), ("late", 10_009)]
