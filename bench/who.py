"""Cost of *who can*: 1 000 people and 200 mailboxes, now, and for the same day after 100 000 more statements.

Run with ``python -m bench.who``. Prints seconds of this process's CPU to answer from folded statements, with
the page, the table and the signed document; and whether the same day gives the same bytes afterwards.
"""

from __future__ import annotations

import json
import random
import time
from datetime import timedelta

from bench.statements import _CUSTODIANS, _MAILBOXES, _ORGANISATION, _PERSONS, _START, _given, _stated
from samdrift.attestation.signatures import canonical
from samdrift.governance.who import Basis, document, paths, rows
from samdrift.governance.whodoors import Doors
from samdrift.governance.whopage import page
from samdrift.governance.whouses import Uses
from samdrift.rights import ORGANISATION, Approved, Copy, Right
from samdrift.rights.fields import moment_text
from samdrift.rights.record import Record
from samdrift.web.tables import csv_lines

_AT_FIRST, _LATER = 10_000, 100_000
_RIGHTS = (Right.READ, Right.WRITE, Right.APPROVE)
_BAR = 2.0


def _contents(many: int) -> list[bytes]:
    """Return the bytes of the founding statement and of ``many`` grants, which begin with the same ones."""
    drawn = random.Random(1)
    role = _given(_PERSONS[0], ORGANISATION, Right.ADMINISTRATOR, 0, asked=True)
    asked = _stated(_CUSTODIANS[0], 0, role)
    made = [asked, _stated(_CUSTODIANS[1], 0, Approved(asked.digest))]
    for second in range(1, many + 1):
        to, scope = drawn.choice(_PERSONS[1:]), drawn.choice(_MAILBOXES)
        made.append(_stated(_PERSONS[0], second, _given(to, scope, drawn.choice(_RIGHTS), second)))
    return [each.content for each in made]


def _answer(copy: Copy) -> tuple[bytes, int, float]:
    """Return the answer in its three forms, the number of paths, and the seconds that it took."""
    moment = _START + timedelta(seconds=_AT_FIRST)
    began = time.process_time()
    basis = Basis(copy, Record(_ORGANISATION), Doors(), Uses(moment - timedelta(days=90), moment))
    documents = [document(each) for each in paths(basis, moment, moment)]
    at = moment_text(moment)
    head = {"question": "who-can", "organisation": _ORGANISATION, "from": at, "to": at}
    answer = head | {"doors_counted": None, "logs": [], "paths": documents}
    whole = canonical(answer) + csv_lines(rows(documents, {})) + page(answer, {}, "sv").encode()
    return whole, len(documents), time.process_time() - began


def main() -> None:
    written = _contents(_LATER)
    first, later = Copy.of(_ORGANISATION), Copy.of(_ORGANISATION)
    began = time.process_time()
    first.accept(enumerate(written[: _AT_FIRST + 2], 1))
    folded = time.process_time()
    later.accept(enumerate(written, 1))
    all_folded = time.process_time()
    before, count, seconds = _answer(first)
    after, _, seconds_later = _answer(later)
    print(
        json.dumps(
            {
                "paths": count,
                "read_and_fold_seconds": round(folded - began, 2),
                "answer_seconds": round(seconds, 2),
                "read_and_fold_100000_seconds": round(all_folded - folded, 2),
                "answer_100000_later_seconds": round(seconds_later, 2),
                "same_bytes": before == after,
                "reached": before == after and max(seconds, seconds_later) <= _BAR,
            }
        )
    )


if __name__ == "__main__":
    main()
