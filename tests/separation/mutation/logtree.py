"""Mutants that remove guards of a log's signed tree, and of requests to have it witnessed."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_SQL = "vault/sql/log-tree-1.sql"
_TREE = "tests/unit/vault/test_logtree.py"
_KEEPING = "tests/unit/installation/test_logkeeping.py"
_PROMISES = "tests/unit/audit/test_promises.py"
_SECOND = f"{_TREE}::test_the_database_refuses_a_second_history"
_STOPPED = f"{_TREE}::test_after_a_refusal_nothing_is_signed_until_two_people_have_decided"

LOGTREE = (
    Mutant(
        "log tree: one size has one root",
        _SQL,
        "        OR (entries = known.size AND hashed <> known.root) THEN",
        "        THEN",
        (_SECOND,),
    ),
    Mutant(
        "log tree: a checkpoint is no smaller than the last one",
        _SQL,
        " OR entries < known.size\n",
        "\n",
        (_SECOND,),
    ),
    Mutant(
        "log tree: a checkpoint is of entries that there are",
        _SQL,
        "IF entries > (SELECT sequence - first + 1 FROM log_head) OR",
        "IF",
        (_SECOND,),
    ),
    Mutant(
        "log tree: a checkpoint is under the log's own name",
        _SQL,
        "IF tree.origin <> named OR EXISTS",
        "IF EXISTS",
        (_SECOND,),
    ),
    Mutant(
        "log tree: the database keeps no checkpoint after a refusal",
        _SQL,
        " OR EXISTS (SELECT FROM log_refusals WHERE resolved_at IS NULL) THEN",
        " THEN",
        (_STOPPED,),
    ),
    Mutant(
        "log tree: nothing is signed after a refusal",
        "vault/logtree.py",
        "        if state.refusal is not None:\n            raise SigningStopped\n",
        "",
        (_STOPPED,),
    ),
    Mutant(
        "log tree: nothing is signed over a gap",
        "vault/logtree.py",
        "if [row[0] for row in rows] != list(range(after + 1, after + 1 + len(rows))) or not rows:",
        "if not rows:",
        (f"{_TREE}::test_nothing_is_signed_over_entries_that_are_missing",),
    ),
    Mutant(
        "log tree: nothing beyond the last checkpoint is shown",
        "vault/logtree.py",
        "        if tile.start + tile.width > (state.signed or 0) >> (_HEIGHT * level):\n"
        "            raise UnknownRecord\n",
        "",
        (f"{_TREE}::test_proofs_and_tiles_are_those_of_the_whole_tree",),
    ),
    Mutant(
        "log tree: a new key is announced by the one before it",
        "vault/logtree.py",
        "if each.public == former.public]",
        "if each.public == key.public]",
        (f"{_TREE}::test_a_new_key_is_announced_by_the_one_before_it",),
    ),
    Mutant(
        "log keeping: a witness that knows another history ends the signing",
        "installation/logkeeping.py",
        "if isinstance(answer, WitnessRefused) and answer.reason.stops:",
        "if False:",
        (f"{_KEEPING}::test_a_witness_that_knows_another_history_ends_the_signing_and_nothing_else",),
    ),
    Mutant(
        "promises: nothing is promised that the database has not kept",
        "vault/work.py",
        "            if are_of(before, logged[0][1][0]):",
        "            if True:",
        (
            "tests/unit/installation/test_attacks.py"
            "::test_an_append_log_that_keeps_nothing_is_found_by_promises",
        ),
    ),
    Mutant(
        "promises: an entry is promised once",
        "audit/promises.py",
        "promise.time) == promise.time",
        "promise.time) is not None",
        (
            "tests/unit/audit/test_promises.py"
            "::test_an_entry_that_is_promised_again_later_stands_for_one_that_was_not_kept",
        ),
    ),
    Mutant(
        "log keeping: a checkpoint leaves once it is committed",
        "installation/logkeeping.py",
        "            if not tree.signed:\n                answers",
        "            if True:\n                answers",
        (f"{_KEEPING}::test_a_witness_sees_what_is_committed_and_no_connection_waits_for_it",),
    ),
    Mutant(
        "log keeping: a witness that was not told stops nothing",
        "installation/logkeeping.py",
        "if isinstance(answer, WitnessRefused) and answer.reason.stops:",
        "if isinstance(answer, WitnessRefused):",
        (f"{_KEEPING}::test_a_witness_that_was_not_told_of_the_log_stops_nothing",),
    ),
    Mutant(
        "log keeping: a pause is in the operator's log once",
        "vault/sql/log-pauses-1.sql",
        " WHERE log_pauses.reason <> excluded.reason",
        "",
        (f"{_KEEPING}::test_the_operators_log_says_since_when_a_vault_signs_nothing",),
    ),
    Mutant(
        "key store: a process that was handed a vault's key makes no key of its log",
        "keystore/software.py",
        "        if self._unlocker.makes_keys:\n            self.make_log_key(vault)\n",
        "        self.make_log_key(vault)\n",
        ("tests/unit/keystore/test_unlocking.py::test_a_process_makes_no_keys_that_its_log_is_signed_with",),
    ),
    Mutant(
        "log promise: a promise is signed by a key of its own log",
        "audit/promises.py",
        "        if all(key.name != origin for key in found):\n"
        '            raise Unverified("the promise is signed by the key of another log", where)\n',
        "",
        (f"{_PROMISES}::test_a_promise_by_another_key_or_of_another_log_does_not_hold",),
    ),
    Mutant(
        "log promise: another entry in its place breaks it",
        "audit/promises.py",
        "if found is not None and leaf_hash(found) == promise.leaf else",
        "if found is not None else",
        (f"{_PROMISES}::test_kept_open_or_broken",),
    ),
    Mutant(
        "log promise: what is not there after a cadence is broken",
        "audit/promises.py",
        "return Verdict.OPEN if now <= promise.time + cadence else Verdict.BROKEN",
        "return Verdict.OPEN",
        (f"{_PROMISES}::test_kept_open_or_broken",),
    ),
    Mutant(
        "follower: a gap that the log has signed is found",
        "transparency/following.py",
        "        if (wrong := copy.gap(old)) is not None:\n"
        '            raise LogContradicted(Contradiction.GAP, before or b"", note, wrong)\n',
        "",
        ("tests/unit/transparency/test_following.py::test_a_gap_is_found_although_the_log_has_signed_it",),
    ),
    Mutant(
        "log retention: no statement reads a whole log, however long it is",
        "vault/logtree.py",
        "for after in range(0, end, _MAX_AGED):",
        "for after in range(0, end, MAX_NUMBER):",
        (
            "tests/unit/administration/test_logexport.py"
            "::test_the_ages_of_a_long_log_are_counted_a_piece_at_a_time",
        ),
    ),
)
