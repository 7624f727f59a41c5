"""Mutants that remove guards of the verification of exported logs, and of the proofs in evidence."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_VERIFYING = "tests/unit/audit/test_logverifying.py"
_FORGERIES = "tests/unit/audit/test_forgeries.py"
_FOUND = f"{_FORGERIES}::test_every_forgery_is_found_and_its_first_wrong_entry_named"
_PROOFS = "tests/roles/test_evidence.py::test_an_entry_that_no_witnessed_checkpoint_has_does_not_hold"
_GATHERING = "tests/unit/administration/test_logexport.py"
_SECTIONS = "tests/unit/evidence/test_sections.py"
_SECTION = f"{_SECTIONS}::test_evidence_with_a_section_over_entries_that_were_disposed_of_holds"
_MISSED = f"{_SECTIONS}::test_facts_of_a_section_that_no_decision_disposed_of_are_missed"
_CRAFTED = "tests/unit/cli/test_crafted_logs.py"
_MODULE = "audit/logverifying.py"
_INTERRUPTED = "test_a_verification_that_was_interrupted_after_any_part_ends_with_the_same_verdict"

LOGVERIFICATION = (
    Mutant(
        "log verify: entries are those that the log signed",
        _MODULE,
        "if stated.size == size and stated.root != root.hex():",
        "if False:",
        (_FOUND,),
    ),
    Mutant(
        "log verify: a known checkpoint is one that the log has",
        _MODULE,
        "if each.size == size and each.root != root:",
        "if False:",
        (_FOUND,),
    ),
    Mutant(
        "log verify: a log is no shorter than a known checkpoint",
        _MODULE,
        "if any(each.size > size for each in self._known):",
        "if False:",
        (_FOUND,),
    ),
    Mutant(
        "log verify: no checkpoint has more entries than there are",
        _MODULE,
        "        if state.waiting:\n            self._wrong(",
        "        if False:\n            self._wrong(",
        (f"{_VERIFYING}::test_entries_that_a_checkpoint_has_and_the_file_lacks_are_missed",),
    ),
    Mutant(
        "log verify: facts are those of their entry",
        _MODULE,
        "if sha256(record).digest() != leaf[_COMMITMENT]:",
        "if False:",
        (_FOUND,),
    ),
    Mutant(
        "log verify: the time of an entry is between those of its checkpoints",
        _MODULE,
        "if not not_before <= record[_AT] <= not_after:",
        "if False:",
        (f"{_FORGERIES}::test_an_entry_that_was_backdated_before_any_witness_saw_it_is_named_itself",),
    ),
    Mutant(
        "log verify: a cosignature of the future counts as none",
        _MODULE,
        "if time <= self._now + TOLERANCE}",
        "}",
        (f"{_VERIFYING}::test_a_cosignature_of_the_future_counts_as_none",),
    ),
    Mutant(
        "log verify: the class of an entry is that of its event",
        _MODULE,
        "if _class_of(event) not in {None, retention}:",
        "if False:",
        (f"{_VERIFYING}::test_a_class_that_is_not_the_event_s_is_named_although_witnesses_saw_it",),
    ),
    Mutant(
        "log verify: facts miss by a decision alone",
        _MODULE,
        "if found.last > through:",
        "if False:",
        (f"{_VERIFYING}::test_the_oldest_facts_of_a_class_miss_by_a_decision_alone",),
    ),
    Mutant(
        "log verify: a decision says of how many entries",
        _MODULE,
        "elif decisions and found.count != decided:",
        "elif False:",
        (f"{_VERIFYING}::test_a_decision_says_of_how_many_entries_it_disposed",),
    ),
    Mutant(
        "log verify: facts about the log itself are never missing",
        _MODULE,
        '            self._wrong(number, "its facts are missing, and are about the log itself")',
        "            return",
        (f"{_VERIFYING}::test_an_entry_about_the_log_itself_is_never_disposed_of",),
    ),
    Mutant(
        "log verify: the first entry of the tree names what is before it",
        _MODULE,
        'if facts.get("event") != LogEvent.LOG_TREE_BEGUN or facts.get("ids") != named:',
        "if False:",
        (_FOUND,),
    ),
    Mutant(
        "log verify: a new key is announced by one that is known",
        _MODULE,
        "known.name == key.name and known.verifies(announced(key), announcement)",
        "known.name == key.name",
        (f"{_VERIFYING}::test_a_key_that_the_one_before_it_announced_signs_from_then_on",),
    ),
    Mutant(
        "log verify: too few witnesses are none",
        _MODULE,
        "accepted = policy.suffices(times)",
        "accepted = True",
        (f"{_VERIFYING}::test_a_log_that_too_few_witnesses_saw_does_not_hold",),
    ),
    Mutant(
        "log verify: an interrupted verification goes on in the chain too",
        "evidence/logexport.py",
        'self._page, self._bundle = int(saved["page"]), int(saved["bundle"])',
        'self._bundle = int(saved["bundle"])',
        (f"{_VERIFYING}::{_INTERRUPTED}",),
    ),
    Mutant(
        "log verify: an interrupted verification goes on with the same inputs alone",
        _MODULE,
        'saved.get("inputs") != self._state.inputs or ',
        "",
        (f"{_VERIFYING}::test_a_state_saved_under_a_laxer_policy_is_not_continued",),
    ),
    Mutant(
        "log verify: a state of a laxer policy is not continued",
        _MODULE,
        "sha256(policy.digest() + ",
        "sha256(",
        (f"{_VERIFYING}::test_a_state_saved_under_a_laxer_policy_is_not_continued",),
    ),
    Mutant(
        "log verify: a state without a known checkpoint is not continued",
        _MODULE,
        " + sha256(checkpoints).digest()",
        "",
        (f"{_VERIFYING}::test_a_state_saved_without_a_known_checkpoint_is_not_continued",),
    ),
    Mutant(
        "log verify: a state without the time of a time stamp is not continued",
        _MODULE,
        " + json.dumps(times).encode()",
        "",
        (f"{_VERIFYING}::test_a_state_saved_without_the_time_of_a_stamp_is_not_continued",),
    ),
    Mutant(
        "log verify: a state of a clock that was ahead is not continued",
        _MODULE,
        ' or int(saved["now"]) > self._now',
        "",
        (f"{_VERIFYING}::test_a_state_saved_by_a_clock_that_was_ahead_is_not_continued",),
    ),
    Mutant(
        "log verify: a state of a replaced file is not continued",
        "evidence/logexport.py",
        "{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}",
        "{found.st_size} {found.st_mtime_ns}",
        (f"{_VERIFYING}::test_the_state_of_a_file_that_was_replaced_is_not_continued",),
    ),
    Mutant(
        "log verify: the chain of an interrupted verification is verified from where it was",
        _MODULE,
        "self._chain = LogVerification(ChainHead(number, bytes.fromhex(hashed)))",
        "pass",
        (f"{_VERIFYING}::{_INTERRUPTED}",),
    ),
    Mutant(
        "log dispose: what is about the log is kept",
        "vault/sql/disposal-1.sql",
        "class NOT BETWEEN 1 AND 4 OR ",
        "",
        (f"{_GATHERING}::test_the_database_keeps_what_is_about_the_log_and_the_last_year",),
    ),
    Mutant(
        "log dispose: the last year is kept",
        "vault/sql/disposal-1.sql",
        " OR before > clock_timestamp() - interval '12 months'",
        "",
        (f"{_GATHERING}::test_the_database_keeps_what_is_about_the_log_and_the_last_year",),
    ),
    Mutant(
        "log dispose: only facts from before the moment go",
        "vault/sql/disposal-1.sql",
        "WHERE retention = class AND sequence <= upto AND",
        "WHERE retention = class AND",
        (f"{_GATHERING}::test_facts_are_disposed_of_by_a_decision_in_the_log_and_all_proofs_stay",),
    ),
    Mutant(
        "evidence: an entry without a proof does not hold by a policy",
        "evidence/verifying.py",
        "return Finding(file, policy is None, ",
        "return Finding(file, True, ",
        (_PROOFS,),
    ),
    Mutant(
        "evidence: a proof is of the entry that is shown",
        "evidence/verifying.py",
        'return Finding(file, False, "is not the entry in the log\'s file")',
        'return Finding(file, True, "")',
        (_PROOFS,),
    ),
    Mutant(
        "evidence: a proof is of some entry that is shown",
        "evidence/verifying.py",
        'yield Finding(name, False, "does not prove any entry here")',
        "pass",
        (_PROOFS,),
    ),
    Mutant(
        "evidence: a section has the leaves of entries that were disposed of",
        "evidence/gathering.py",
        "_json_lines(map(_document, page))",
        "_json_lines(_document(row) for row in page if row[1] is not None)",
        (_SECTION,),
    ),
    Mutant(
        "evidence: facts of a section miss by a decision alone",
        "evidence/sections.py",
        "if leaf.sequence > self._decided.get(leaf.retention, 0):",
        "if False:",
        (_MISSED,),
    ),
    Mutant(
        "evidence: a decision disposed of all the facts of a class in a section",
        "evidence/sections.py",
        "if kept <= through:",
        "if False:",
        (_MISSED,),
    ),
    Mutant(
        "evidence: a decision about a section is an entry about the log",
        "evidence/sections.py",
        "if entry.retention == Retention.LOG and entry.event",
        "if entry.event",
        (f"{_SECTIONS}::test_what_only_names_a_decision_is_none",),
    ),
    Mutant(
        "log verify: an entry may be empty",
        _MODULE,
        "if len(leaf) != _LEAF or leaf[0] != LEAF_VERSION:",
        "if leaf[0] != LEAF_VERSION or len(leaf) != _LEAF:",
        (f"{_CRAFTED}::test_an_entry_whose_form_is_not_known_is_only_a_leaf",),
    ),
    Mutant(
        "log verify: the tree begins with an entry whose form is known",
        _MODULE,
        "facts = _facts(record[SALT:]) if known else {}",
        "facts = _facts(record[SALT:])",
        (f"{_CRAFTED}::test_a_tree_begins_with_an_entry_that_is_known",),
    ),
    Mutant(
        "log verify: a decision says when",
        _MODULE,
        'at = datetime.fromisoformat(facts["at"]).isoformat(timespec="microseconds")',
        'at = str(facts.get("at"))',
        (f"{_CRAFTED}::test_a_decision_that_does_not_say_when_is_wrong",),
    ),
    Mutant(
        "log verify: a decision is up to a number",
        _MODULE,
        "    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):\n"
        '        raise ValueError("not a decision',
        "    except (KeyError, TypeError, AttributeError, ValueError):\n"
        '        raise ValueError("not a decision',
        (f"{_CRAFTED}::test_a_decision_up_to_no_number_is_wrong",),
    ),
    Mutant(
        "logs: an entry has a time that can be computed with",
        "audit/entries.py",
        "if not _FIRST_YEAR <= at.year <= _LAST_YEAR:",
        "if False:",
        (f"{_CRAFTED}::test_an_entry_at_the_end_of_time_cannot_be_used",),
    ),
)
