"""Mutants that remove guards of *who can*, reviews and incidents."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_WHO = "tests/unit/governance/test_who.py"
_SO = "tests/separation/test_who_can.py"
_REVIEWS = "tests/unit/rights/test_reviews.py"
_REVIEW = "tests/unit/cli/test_gov_review.py"
_INCIDENTS = "tests/unit/governance/test_incidents.py"
_OPERATORS = "tests/unit/administration/test_incidents.py"
_EVIDENCE = "tests/unit/operations/test_compliancelogs.py"
_FOLDING = "rights/folding.py"


def _without(guard: str, file: str, text: str, *tests: str, instead: str = "") -> Mutant:
    return Mutant(f"who can: {guard}", file, text, instead, tests)


WHO_CAN = (
    _without(
        "a substitute has only what the absent person has",
        "governance/who.py",
        " and state.counts(other.digest, each)",
        _WHO,
    ),
    _without(
        "what an objection holds back is no path",
        _FOLDING,
        "            if any(first <= each <= last and self.counts(digest, each) for each in moments):\n",
        _WHO,
        instead="            if moments:\n",
    ),
    _without(
        "a member of a group is in the report",
        "governance/who.py",
        "        for door, since, gone in members.get(str(what.subject), []):",
        _SO,
        instead="        for door, since, gone in []:",
    ),
    _without(
        "a denial is no use",
        "governance/whouses.py",
        "        if deed.event not in DENIED:\n            for place",
        _WHO,
        instead="        if True:\n            for place",
    ),
    _without(
        "a copy that has left is never gone",
        "governance/whodoors.py",
        " and seen.door.kind not in LEFT",
        _WHO,
    ),
    _without(
        "silence does not remove the last administrator",
        _FOLDING,
        "        for digest in set(unanswered) - set(self._spared(unanswered, now)):",
        _REVIEWS,
        instead="        for digest in unanswered:",
    ),
    _without(
        "one who is back in a group is there",
        "governance/who.py",
        "if door.who == other.who and (over is None or since <= over):",
        _WHO,
        instead="if door.who == other.who:",
    ),
    _without(
        "when somebody last used a path is shown within a consent",
        "cli/gov/who.py",
        "each if use else who.without_use(each)",
        "tests/unit/cli/test_gov_who.py::test_who_did_counts_what_each_log_has",
        instead="each",
    ),
    _without(
        "when a right was last used is shown within a consent",
        "cli/gov/reviews.py",
        "path if use else who.without_use(path)",
        f"{_REVIEW}::test_a_review_shows_when_a_right_was_last_used_only_within_a_consent",
        instead="path",
    ),
    _without(
        "what ends in the same moment leaves no administrator behind",
        _FOLDING,
        "standing = {digest for digest in roles if self._in_force(digest, now, going_on)}",
        _REVIEWS,
        instead="standing = {digest for digest in roles if self._in_force(digest, now, now)}",
    ),
    _without(
        "nobody reviews what they have themselves",
        _FOLDING,
        "if reviews and not own and opening.at",
        _REVIEWS,
        instead="if reviews and opening.at",
    ),
    _without(
        "an answer is the reviewer's or the stand-in's",
        _FOLDING,
        "reviews = stated.by in (opened.reviewer, opened.stand_in)\n            own",
        _REVIEWS,
        instead="reviews = True\n            own",
    ),
    _without(
        "a review with an open item is not closed early",
        _FOLDING,
        "        if unanswered and statement.at < opened.due:\n            return Effect.TOO_EARLY\n",
        _REVIEWS,
    ),
    _without(
        "who opens and who reviews has authority over each item",
        _FOLDING,
        "            if not all(self._may_review(each, named, now) for each in those):\n"
        "                return Effect.NO_AUTHORITY\n",
        _REVIEWS,
    ),
    _without(
        "nothing ends by silence while a vault is locked",
        "administration/governing.py",
        "            self._require_unlocked()\n",
        f"{_REVIEW}::test_nothing_ends_by_silence_while_a_vault_is_locked",
        instead="            pass\n",
    ),
    _without(
        "a month of an incident's clock is one of Sweden's calendar",
        "rights/incidentfold.py",
        "    local = moment.astimezone(_SWEDEN)",
        _INCIDENTS,
        instead="    local = moment.astimezone(UTC)",
    ),
    _without(
        "an officer closes an incident",
        "rights/incidentfold.py",
        "                allowed, over = officer, incident.closed is not None",
        _INCIDENTS,
        instead="                over = incident.closed is not None",
    ),
    _without(
        "who is neither officer nor staff states no incident",
        "rights/incidentfold.py",
        "        allowed = officer or statement.by.kind in _OF_OPERATOR",
        _INCIDENTS,
        instead="        allowed = True",
    ),
    _without(
        "what was told first stops the clock",
        "rights/incidentfold.py",
        "            known[of].told.setdefault(clock, (told, reference, at))",
        _INCIDENTS,
        instead="            known[of].told[clock] = (told, reference, at)",
    ),
    _without(
        "a late notification gives the final report no more time",
        "rights/incidentfold.py",
        "min(notified[0], latest) if notified is not None else latest",
        _INCIDENTS,
        instead="notified[0] if notified is not None else latest",
    ),
    _without(
        "an incident's clocks end also when every organisation has left",
        "administration/incidents.py",
        "    if not organisations:\n        await",
        _OPERATORS,
        instead="    if False:\n        await",
    ),
    _without(
        "an organisation whose vault is away keeps no other from hearing of an incident",
        "administration/incidents.py",
        "        written = await note_during_outage(",
        _OPERATORS,
        instead="        from samdrift.administration.administration import note\n"
        "        written = True\n        await note(",
    ),
    _without(
        "who cannot read of an incident while suspended is named",
        "administration/incidents.py",
        " | {name: _SUSPENDED for name in reported.told if name in suspended}",
        _OPERATORS,
    ),
    _without(
        "facts that are gone without a decision are seen",
        "operations/compliancelogs.py",
        "kept > 0 and not unexplained",
        _EVIDENCE,
        instead="kept > 0",
    ),
    _without(
        "an account without a key in hardware is seen",
        "operations/compliancelogs.py",
        " and _in_hardware(each.key)",
        _EVIDENCE,
    ),
    _without(
        "a drill that compared nothing is no evidence",
        "operations/compliancelogs.py",
        " and compared.isdigit() and int(compared) > 0",
        _EVIDENCE,
    ),
)
