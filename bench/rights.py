"""The cost of a decision: ten thousand statements of one organisation, folded once and asked 5 000 times.

Run with ``python -m bench.rights``. Milliseconds of this process's CPU: reading the statements, folding
them, and the 95th percentile of a decision.
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta

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

_ORGANISATION = "0203:bench.example.se"
_START = datetime(2026, 1, 1, tzinfo=UTC)
_PERSONS = [Subject.parse(f"person:{number}") for number in range(1000)]
_MAILBOXES = [Scope(f"mailbox-{number}") for number in range(200)]
_CUSTODIANS = [Subject.parse(f"custodian:{name}") for name in ("one", "other")]
_STATEMENTS, _REQUESTS = 10_000, 5_000
_RIGHTS = (Right.READ, Right.WRITE, Right.APPROVE)


def _stated(by: Subject, second: int, act: Given | Approved) -> Statement:
    return Statement(_ORGANISATION, by, _START + timedelta(seconds=second), "bench", act)


def _given(to: Subject, scope: Scope, right: Right, second: int, *, asked: bool = False) -> Given:
    start = _START + timedelta(seconds=second)
    return Given(Rights(to, scope, frozenset({right})), start, start + timedelta(days=200), asked)


def contents(seed: int) -> list[bytes]:
    """Return the bytes of the founding and of so many grants."""
    drawn = random.Random(seed)
    role = _given(_PERSONS[0], ORGANISATION, Right.ADMINISTRATOR, 0, asked=True)
    asked = _stated(_CUSTODIANS[0], 0, role)
    made = [asked, _stated(_CUSTODIANS[1], 0, Approved(asked.digest))]
    for second in range(1, _STATEMENTS + 1):
        to, scope = drawn.choice(_PERSONS[1:]), drawn.choice(_MAILBOXES)
        made.append(_stated(_PERSONS[0], second, _given(to, scope, drawn.choice(_RIGHTS), second)))
    return [each.content for each in made]


def main() -> None:
    written, drawn = contents(1), random.Random(2)
    began = time.process_time()
    statements = [Statement.parse(each) for each in written]
    read = time.process_time()
    state = fold(_ORGANISATION, statements)
    folded = time.process_time()
    moment, costs = _START + timedelta(days=1), []
    for _ in range(_REQUESTS):
        asked = Request(
            _ORGANISATION, drawn.choice(_PERSONS), drawn.choice(_RIGHTS), drawn.choice(_MAILBOXES)
        )
        since = time.process_time()
        decide_by(state, asked, moment)
        costs.append(time.process_time() - since)
    print(f"read {_STATEMENTS} statements: {1000 * (read - began):.0f} ms")
    print(f"fold them: {1000 * (folded - read):.0f} ms")
    print(f"decide, 95th percentile: {1000 * sorted(costs)[_REQUESTS * 95 // 100]:.3f} ms")


if __name__ == "__main__":
    main()
