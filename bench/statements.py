"""Cost of signed statements: ten thousand of one organisation folded once, queried 5 000 times, and extended.

Milliseconds of this process's CPU. The cost of a fold must grow with the number of new statements, not of
existing ones, so the same number is folded onto a hundred, and onto ten thousand.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from bench.measure import Row, against_floor, reported
from samdrift.rights import (
    ORGANISATION,
    Approved,
    Given,
    Request,
    Right,
    Rights,
    Scope,
    Statement,
    Subject,
    fold,
)
from samdrift.rights.deciding import decide_by
from samdrift.rights.folding import State

_ORGANISATION = "0203:bench.example.se"
_START = datetime(2026, 1, 1, tzinfo=UTC)
_PERSONS = [Subject.parse(f"person:{number}") for number in range(1000)]
_MAILBOXES = [Scope(f"mailbox-{number}") for number in range(200)]
_CUSTODIANS = [Subject.parse(f"custodian:{name}") for name in ("one", "other")]
_STATEMENTS, _REQUESTS = 10_000, 5_000
_MORE, _ROUNDS = 100, 15
_DECIDED, _GROWN = 1.0, 1.5
"""Maximum milliseconds for a decision, and maximum ratio of a fold onto many to one onto few."""
_UNIT = "ms CPU"
_RIGHTS = (Right.READ, Right.WRITE, Right.APPROVE)


def _stated(by: Subject, second: int, act: Given | Approved) -> Statement:
    return Statement(_ORGANISATION, by, _START + timedelta(seconds=second), "bench", act)


def _given(to: Subject, scope: Scope, right: Right, second: int, *, asked: bool = False) -> Given:
    start = _START + timedelta(seconds=second)
    return Given(Rights(to, scope, frozenset({right})), start, start + timedelta(days=200), asked)


def contents(seed: int) -> list[bytes]:
    """Return the bytes of the founding statement and of the grants."""
    drawn = random.Random(seed)
    role = _given(_PERSONS[0], ORGANISATION, Right.ADMINISTRATOR, 0, asked=True)
    asked = _stated(_CUSTODIANS[0], 0, role)
    made = [asked, _stated(_CUSTODIANS[1], 0, Approved(asked.digest))]
    for second in range(1, _STATEMENTS + 1):
        to, scope = drawn.choice(_PERSONS[1:]), drawn.choice(_MAILBOXES)
        made.append(_stated(_PERSONS[0], second, _given(to, scope, drawn.choice(_RIGHTS), second)))
    return [each.content for each in made]


def rows() -> list[Row]:
    """Measure reading, folding, deciding, and folding more onto few and onto many."""
    written, drawn = contents(1), random.Random(2)
    began = time.process_time()
    statements = [Statement.parse(each) for each in written]
    read = time.process_time()
    state = fold(_ORGANISATION, statements)
    folded = time.process_time()
    costs = list(_decisions(state, drawn))
    few, many = _growth(statements[:100]), _growth(statements)
    return [
        reported(f"read {_STATEMENTS} statements", [1000 * (read - began)], _UNIT),
        reported("fold them", [1000 * (folded - read)], _UNIT),
        reported("decide, 95th percentile", [sorted(costs)[_REQUESTS * 95 // 100]], _UNIT, bar=_DECIDED),
        against_floor(f"fold {_MORE} more onto many and few", few, many, bar=_GROWN, unit=_UNIT),
    ]


def _decisions(state: State, drawn: random.Random) -> Iterator[float]:
    moment = _START + timedelta(days=1)
    for _ in range(_REQUESTS):
        asked = Request(
            _ORGANISATION, drawn.choice(_PERSONS), drawn.choice(_RIGHTS), drawn.choice(_MAILBOXES)
        )
        since = time.process_time()
        decide_by(state, asked, moment)
        yield 1000 * (time.process_time() - since)


def _growth(there: Sequence[Statement]) -> list[float]:
    """Measure, several times, the cost of folding some more statements onto the existing ones."""
    state, drawn = fold(_ORGANISATION, there), random.Random(3)
    costs, second = [], _STATEMENTS
    for _ in range(_ROUNDS):
        more = []
        for _ in range(_MORE):
            second += 1
            to, scope = drawn.choice(_PERSONS[1:]), drawn.choice(_MAILBOXES)
            more.append(_stated(_PERSONS[0], second, _given(to, scope, drawn.choice(_RIGHTS), second)))
        for each in more:
            _ = each.digest  # Cached before timing, as for statements that were read.
        since = time.process_time()
        for each in more:
            state.extend([each])
        costs.append(1000 * (time.process_time() - since))
    return costs
