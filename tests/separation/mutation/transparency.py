"""Mutants that remove guards of a witness and of its client."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_WITNESS = "tests/unit/transparency/test_witness.py"
_ASKING = "tests/unit/transparency/test_asking.py"
_FOLLOWING = "tests/unit/transparency/test_following.py"

TRANSPARENCY = (
    Mutant(
        "witness: a tree that does not continue the last one is not cosigned",
        "transparency/witness.py",
        "        if (empty and checkpoint.root != EMPTY_ROOT) or not continues(\n"
        "            seen.size, checkpoint.size, request.proof, seen.root, checkpoint.root\n"
        "        ):\n",
        "        if empty and checkpoint.root != EMPTY_ROOT:\n",
        (_WITNESS,),
    ),
    Mutant(
        "witness: an empty tree has the root of an empty tree",
        "transparency/witness.py",
        "if (empty and checkpoint.root != EMPTY_ROOT) or not continues(",
        "if not continues(",
        (_WITNESS,),
    ),
    Mutant(
        "witness: the old size is the one that was cosigned last",
        "transparency/witness.py",
        "        if seen.size != request.old:\n            return _conflict(seen)\n",
        "",
        (_WITNESS,),
    ),
    Mutant(
        "witness: only a log that is known is cosigned",
        "transparency/witness.py",
        '                return _refused(HTTPStatus.NOT_FOUND, "this log is not known here")\n',
        "                keys = next(iter(self._logs.values()))\n",
        (_WITNESS,),
    ),
    Mutant(
        "witness: a log's own key has signed",
        "transparency/witness.py",
        "signed = note.verified(keys)",
        "signed = note.verified([key for each in self._logs.values() for key in each])",
        (_WITNESS,),
    ),
    Mutant(
        "witness: its clock goes forward alone",
        "transparency/witness.py",
        "max(int(self._clock().timestamp()), seen.time)",
        "int(self._clock().timestamp())",
        (_WITNESS,),
    ),
    Mutant(
        "witness: what is cosigned is remembered before",
        "transparency/witness.py",
        "        if not self._state.advance(seen, checkpoint, time, "
        "checkpoint.signed([*lines, cosignature])):\n"
        "            return _conflict(self._state.seen(checkpoint.origin))\n",
        "",
        (_WITNESS,),
    ),
    Mutant(
        "witness: of two at once one is remembered",
        "transparency/witnessstate.py",
        "            if (Seen(*known) if known else Seen()) != old:\n                return False\n",
        "            assert known is not None or not known\n",
        (_WITNESS,),
    ),
    Mutant(
        "witness: a key without its memory is not used",
        "transparency/witnessstate.py",
        "        if new == file.exists():",
        "        new = not file.exists()\n        if new == file.exists():",
        (_WITNESS,),
    ),
    Mutant(
        "witness: a memory belongs to one key",
        "transparency/witnessstate.py",
        "if keys != [(str(key),)]:",
        "if len(keys) != 1:",
        (_WITNESS,),
    ),
    Mutant(
        "witness: a request has a length",
        "transparency/witness.py",
        "            if len(body) > MAX_REQUEST:",
        "            if len(body) > 2 * MAX_REQUEST:",
        (_WITNESS,),
    ),
    Mutant(
        "asking: a cosignature is the witness's own",
        "transparency/asking.py",
        "line = note.verified([witness])[witness]",
        "line = note.signatures[0]",
        (_ASKING,),
    ),
    Mutant(
        "asking: a cosignature of the future is no answer",
        "transparency/asking.py",
        "if not 0 < time <= now.timestamp() + AHEAD_SECONDS:",
        "if not 0 < time:",
        (_ASKING,),
    ),
    Mutant(
        "asking: a witness that has seen more refuses",
        "transparency/asking.py",
        "        if named > checkpoint.size:\n"
        "            raise WitnessRefused(witness.key, Refusal.AHEAD, named)\n",
        "        named = min(named, checkpoint.size)\n",
        (_ASKING,),
    ),
    Mutant(
        "asking: a witness is not asked for ever",
        "transparency/asking.py",
        "for _ in range(_ATTEMPTS):",
        "for _ in range(20 * _ATTEMPTS):",
        (_ASKING,),
    ),
    Mutant(
        "follower: only entries that lead to the signed root are kept",
        "transparency/following.py",
        "        if edge.root() != stated.root:",
        "        if edge.size != stated.size:",
        (_FOLLOWING,),
    ),
    Mutant(
        "follower: a log that was rolled back is reported",
        "transparency/following.py",
        "    if stated.size < edge.size:",
        "    if edge.size < 0:",
        (_FOLLOWING,),
    ),
    Mutant(
        "follower: the copy is of one log",
        "transparency/following.py",
        "if known is not None and known.origin != stated.origin:",
        "if known is not None and known.origin != known.origin:",
        (_FOLLOWING,),
    ),
    Mutant(
        "follower: the reader's own policy decides",
        "transparency/following.py",
        "        signed = policy.open(note)\n",
        "        logs, witnesses = policy.logs, policy.witnesses.values()\n"
        "        signed = SignedCheckpoint.parse(note, [m.key for m in logs], [m.key for m in witnesses])\n",
        (_FOLLOWING,),
    ),
    Mutant(
        "follower: a transaction that SQLite has ended is not ended again",
        "transparency/following.py",
        "if self._database.in_transaction:",
        "if True:",
        (f"{_FOLLOWING}::test_a_disk_that_is_full_is_named_and_changes_nothing",),
    ),
    Mutant(
        "follower: a full disk is named",
        "transparency/following.py",
        "== sqlite3.SQLITE_FULL:",
        "is None:",
        (f"{_FOLLOWING}::test_a_disk_that_is_full_is_named_and_changes_nothing",),
    ),
    Mutant(
        "follower: a time that a witness cannot have seen is not accepted",
        "transparency/following.py",
        "if witnessed_at is not None and witnessed_at > _LAST_TIME:",
        "if False:",
        (f"{_FOLLOWING}::test_a_checkpoint_whose_witness_names_an_impossible_time_changes_nothing",),
    ),
    Mutant(
        "witness: a transaction that could not be committed is not left open",
        "transparency/witnessstate.py",
        '                self._database.execute("ROLLBACK")\n',
        "                pass\n",
        (f"{_WITNESS}::test_after_a_reader_of_the_state_has_delayed_a_commit_the_witness_goes_on",),
    ),
)
