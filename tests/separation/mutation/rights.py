"""Mutants that remove guards of the decision on a person's rights."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_FOLDING = "tests/unit/rights/test_folding.py"
_STATEMENTS = "tests/unit/rights/test_statements.py"
_CANONICAL = "tests/unit/rights/test_canonical.py"
_COPIES = "tests/unit/rights/test_copies.py"

RIGHTS = (
    Mutant(
        "rights: nothing is given without authority",
        "rights/folding.py",
        "        if not self._may_give(by, act, now):\n            return Effect.NO_AUTHORITY\n"
        "        self._begin(",
        "        self._begin(",
        (_FOLDING,),
    ),
    Mutant(
        "rights: no person gives to themselves",
        "rights/folding.py",
        "        if by == act.what.subject:\n            return Effect.SELF\n",
        "",
        (_FOLDING,),
    ),
    Mutant(
        "rights: a role in the organisation takes two persons",
        "rights/folding.py",
        "        if role:\n            return Effect.TAKES_TWO\n",
        "",
        (_FOLDING,),
    ),
    Mutant(
        "rights: an end of a moment holds for the grants of it that came before",
        "rights/folding.py",
        "            if self._grants_alone:\n                self._fold(further)\n",
        "            if True:\n                self._fold(further)\n",
        (_FOLDING,),
    ),
    Mutant(
        "rights: the one who asks does not approve",
        "rights/folding.py",
        "        if any(same_person(by, each) for each in (asked.by, *asked.act.receivers)):\n"
        "            return Effect.SELF\n",
        "",
        (_FOLDING,),
    ),
    Mutant(
        "rights: who asks for a role could give it",
        "rights/folding.py",
        "            if role and not self._may_give(by, act, now):\n"
        "                return Effect.NO_AUTHORITY\n",
        "",
        (_FOLDING,),
    ),
    Mutant(
        "rights: an end is judged and counts, whoever loses by it",
        "rights/folding.py",
        "        if end is not None and end[0] < now:\n            return end[1]\n",
        "",
        (_FOLDING,),
    ),
    Mutant(
        "rights: a stranger ends nothing",
        "rights/folding.py",
        "        return self._has(by, Right.SECURITY_OFFICER, ORGANISATION, now)\n\n    def _has_role",
        "        return True\n\n    def _has_role",
        (_FOLDING,),
    ),
    Mutant(
        "rights: what is given in a moment lends no authority in it",
        "rights/folding.py",
        "began = (now[0], _ENDING)",
        "began = (now[0], _AFTER)",
        (_FOLDING,),
    ),
    Mutant(
        "rights: a manager gives on the mailbox that is managed alone",
        "rights/folding.py",
        "self._has(by, Right.MANAGE, what.scope, now)",
        "any(self._has(by, Right.MANAGE, Scope(each), now) for each in ('school', 'care'))",
        (_FOLDING,),
    ),
    Mutant(
        "rights: statements of another organisation count for nothing",
        "rights/folding.py",
        "mine = [each for each in batch if each.organisation == self.organisation]",
        "mine = batch",
        (_FOLDING,),
    ),
    Mutant(
        "rights: a request about another organisation is denied",
        "rights/deciding.py",
        "    if request.organisation != state.organisation:\n        return Decision(False)\n",
        "",
        (_FOLDING,),
    ),
    Mutant(
        "rights: a person shown among the claims of a session lends nothing",
        "rights/deciding.py",
        "sorted((each for each in request.claims if each.kind is SubjectKind.CLAIM), key=str)",
        "sorted(request.claims, key=str)",
        (_FOLDING,),
    ),
    Mutant(
        "rights: a substitute gets content alone",
        "rights/deciding.py",
        "request.right not in OF_CONTENT or ",
        "",
        (_FOLDING,),
    ),
    Mutant(
        "rights: a claim names content alone",
        "rights/statements.py",
        "SubjectKind.CLAIM: OF_CONTENT,",
        "SubjectKind.CLAIM: frozenset(Right),",
        (_STATEMENTS,),
    ),
    Mutant(
        "rights: nothing is given for longer than a year",
        "rights/statements.py",
        "if not start < end <= start + LONGEST:",
        "if not start < end:",
        (_STATEMENTS,),
    ),
    Mutant(
        "rights: nothing begins before it is stated",
        "rights/statements.py",
        '    if start < at:\n        raise StatementError("it begins before it is stated", "from")\n',
        "",
        (_STATEMENTS,),
    ),
    Mutant(
        "rights: other bytes of the same value are not read",
        "rights/canonical.py",
        "    if encode(value, most) != content:\n"
        '        raise CanonicalError("the same value has other bytes in canonical form")\n',
        "    encode(value)\n",
        (_CANONICAL,),
    ),
    Mutant(
        "rights: a copy that is behind decides nothing",
        "rights/copies.py",
        "        if wanted > self.number:\n            raise Behind(self.number, wanted)\n",
        "",
        (_COPIES,),
    ),
    Mutant(
        "rights: a copy jumps no gap",
        "rights/copies.py",
        "number > self.number + 1 or self.not_understood is not None",
        "self.not_understood is not None",
        (_COPIES,),
    ),
    Mutant(
        "rights: a clock that is set back prolongs nothing",
        "rights/copies.py",
        "max(clock, self.state.last or clock)",
        "clock",
        (_COPIES,),
    ),
)
