"""Finds the rules in the texts of the specifications: ``python docs/rules.py FOLDER`` lists them.

The texts are DIGG's and are not copied: :file:`docs/rules.txt` has the place of each rule, a digest of its
words, and a summary in ours. These are rules, in the order of the text:

* a lettered item (``3.1.6 a``) or a parameter that the federation sets (``3.1.3 A1``);
* a numbered item: a validation rule (``2.5 R4-XHE``), a test case (``4.2.1 TF-01``), a step
  (``3.3.1 step 12``);
* a row of a table that prescribes a response (``5.3 row 9``), or a response that the description of a field
  prescribes (``4.3.2 answer 3``);
* any other sentence with *ska*, *måste*, *får inte* (``2.9 sentence 1``), numbered within its section.

The texts were extracted from PDF: tables are broken over lines, and where a printed number occurs twice the
second gets a letter (``step 6b``); text before the first section is in section 0. The digest of a rule
changes with its words, so that a new edition is noticed.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RULES = Path(__file__).with_name("rules.txt")

_LEADER = re.compile(r"\.{4,}")
_FOOT = re.compile(r"^\s*(?:/digg\.se\s*\d*|\d{1,3} ?\(\d+\))\s*$|^\s{40,}\d{1,3}$")
_HEADING = re.compile(r"^\s{0,30}(?P<number>\d+(?:\.\d+)*)\.?\s+(?P<title>[^\W\d].*)$")
_LETTER = re.compile(r"\[(?P<label>[a-z]|A\d+)\]\s*(?P<rest>.*)$")
_VALIDATION = re.compile(r"^\s*(?P<label>R\d+)-(?P<family>APP|XHE)?\s{2,}(?P<rest>\S.*)$")
_STEP = re.compile(r"^\s+(?P<label>\d{1,2})\.\s+(?P<rest>\S.*)$")
_CASE = re.compile(r"\b(?P<label>TF-\d\d)\b")
_ANSWER = re.compile(r"Innehållsvalidering - Kodning av")
_CODE = re.compile(r"(?:Orsakskod|Detaljkod):\s*(\S+)")
_BULLET = re.compile(r"^\s*[•▪–o]\s+")
_CARDINALITY = re.compile(r"^\s*\d\.\.[\dn]\s")
_MODAL = re.compile(r"\b(?:ska|skall|måste|får (?:inte|ej)|ej får|must not)\b", re.IGNORECASE)
_COLUMNS = re.compile(r"^\d+\s{2,}")
_SENTENCE_END = re.compile(r"(?<=[.:!?])\s+(?=[A-ZÅÄÖ”\"])")
_NOTATION = re.compile(r"regeltext för|,\[A2\]", re.IGNORECASE)

_NAMED = {
    "api-mt-mk": {
        "Informationsobjekt": "message",
        "Felhantering (Event objekt)": "event",
        "Meddelandestatus koder": "status",
        "KV: Type": "type",
        "Exempel Event": "examples",
    }
}
"""Headings without a number, and the names with which they are cited."""
_ROWS = {
    ("content-specification", "5.3"): re.compile(r"^\s{0,3}(?P<label>\d{1,2})\.?(?:\s|$)"),
    ("api-mt-mk", "4.1"): re.compile(r"^\s{0,2}(?P<label>\d)(?:\s|$)"),
    ("api-mt-mk", "4.2"): re.compile(r"^\s{0,2}(?P<label>\d)(?:\s|$)"),
}
"""Tables whose rows have numbers without a full stop."""
_BY_CARDINALITY = {("envelope-profile-xhe", "2.2")}
"""Tables whose rows begin with an element's cardinality; each row is a separate statement."""
_WITHOUT_RULES = {("api-mt-mk", "examples")}


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of :file:`docs/rules.txt`: a rule, its summary in our words, and the reason if it is omitted."""

    document: str
    section: str
    label: str
    digest: str
    summary: str
    why: str

    @property
    def clause(self) -> tuple[str, str, str]:
        """Return the rule as it is cited."""
        return self.document, self.section, self.label


def entries(file: Path) -> Iterator[Entry]:
    """Yield the listed rules in order; raise :class:`ValueError` for a malformed line."""
    document = ""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("## "):
            document = line.removeprefix("## ")
        elif line and not line.startswith("#"):
            fields = [field.strip() for field in line.split("|")]
            if len(fields) != 4 or not document or not fields[2]:
                raise ValueError(
                    f"{file.name}, line {number}: not a rule, its digest, a summary and a reason"
                )
            section, _, label = fields[0].partition(" ")
            yield Entry(document, section, label, *fields[1:])


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its specification and section, its label in the section, and a digest of its words."""

    document: str
    section: str
    label: str
    digest: str

    @property
    def clause(self) -> tuple[str, str, str]:
        """Return the rule as it is cited."""
        return self.document, self.section, self.label


def name_of(file: Path) -> str:
    """Return the name with which a text is cited: its file name without the version."""
    return re.sub(r"-[0-9.]+$", "", file.stem)


def rules_in(folder: Path) -> Iterator[Rule]:
    """Yield every rule of every text in a folder, in the order of the texts."""
    for file in sorted(folder.glob("*.txt"), key=name_of):
        yield from rules_of(name_of(file), file.read_text(encoding="utf-8"))


def rules_of(document: str, text: str) -> Iterator[Rule]:
    """Yield every rule of one text."""
    for section, lines in _sections(document, _lines(text)):
        if (document, section) not in _WITHOUT_RULES:
            yield from _in_section(document, section, lines)


def _lines(text: str) -> Iterator[str]:
    """Yield the lines of a text without its table of contents and page footers."""
    kept: list[str] = []
    at_foot = False
    for line in text.replace("\f", "\n").splitlines():
        if _LEADER.search(line):
            continue
        if _FOOT.match(line) and line.strip():
            while kept and not kept[-1].strip():
                kept.pop()
            at_foot = True
        elif line.strip() or not at_foot:
            at_foot = False
            kept.append(line)
    yield from kept


def _sections(document: str, lines: Iterator[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield numbered sections; a number is a heading only where it can come next."""
    number: tuple[int, ...] = ()
    section, body = "0", list[str]()
    named = _NAMED.get(document, {})
    for line in lines:
        heading = _HEADING.match(line)
        following = tuple(map(int, heading["number"].split("."))) if heading else ()
        if line.strip() in named and number:
            yield section, body
            section, body = named[line.strip()], []
        elif (
            heading
            and section not in named.values()
            and _follows(number, following, line)
            and not ((document, section) in _ROWS and _COLUMNS.match(line))
        ):
            yield section, body
            number, section, body = following, heading["number"], [line]
        else:
            body.append(line)
    yield section, body


def _follows(number: tuple[int, ...], following: tuple[int, ...], line: str) -> bool:
    """Return whether ``following`` is the first below ``number``, its next sibling, or the next above it."""
    if len(following) == 1:
        return not line[0].isspace() and following == (number[0] + 1 if number else 1,)
    if not number or following[0] != number[0]:
        return False
    if following[: len(number)] == number:
        return following == number or following == (*number, 1)
    differs = next(
        place for place, (old, new) in enumerate(zip(number, following, strict=False)) if old != new
    )
    return following[differs] == number[differs] + 1


@dataclass(slots=True)
class _Found:
    label: str
    words: list[str]


def _in_section(document: str, section: str, lines: list[str]) -> Iterator[Rule]:
    found: list[_Found] = []
    rest: list[str] = []
    current: _Found | None = None
    cases = _CASE.findall(" ".join(lines[:2]))
    rows = _ROWS.get((document, section))
    by_cardinality = (document, section) in _BY_CARDINALITY
    step = answers = sentences = 0
    at_margin = False
    if cases:
        yield _rule(document, section, cases[0], lines)
        return

    def flush() -> None:
        nonlocal sentences
        for statement in _statements(rest):
            sentences += 1
            found.append(_Found(f"sentence {sentences}", [statement]))
        rest.clear()

    for position, line in enumerate(lines):
        letter, validation, numbered = _LETTER.search(line), _VALIDATION.match(line), _STEP.match(line)
        row = rows.match(line) if rows else None
        if letter and not _NOTATION.match(letter["rest"]):
            flush()
            current = _Found(letter["label"], [letter["rest"]])
            at_margin = letter.start() == 0
            found.append(current)
        elif validation:
            flush()
            family = validation["family"] or "XHE"
            current = _Found(f"{validation['label']}-{family}", [validation["rest"]])
            found.append(current)
        elif row and 0 <= int(row["label"]) - step <= 2 and (step or row["label"] == "1"):
            flush()
            step = int(row["label"])
            current = _Found(f"{'row' if section == '5.3' else 'step'} {step}", [line])
            found.append(current)
        elif rows is None and numbered and int(numbered["label"]) in (1, step + 1):
            flush()
            step = int(numbered["label"])
            current = _Found(f"step {step}", [numbered["rest"]])
            found.append(current)
        elif _ANSWER.search(line):
            flush()
            answers += 1
            codes = _CODE.findall("\n".join(lines[position : position + 45]))[:2]
            found.append(_Found(f"answer {answers}", codes))
            current = None
        elif (
            current is not None
            and (line.strip() or rows)
            and not (by_cardinality and _CARDINALITY.match(line))
            and not (at_margin and not line[0].isspace())
        ):
            current.words.append(line)
        else:
            current = None
            rest.append(line)
    flush()
    for each in _distinct(found):
        yield _rule(document, section, each.label, each.words)


def _distinct(found: list[_Found]) -> Iterator[_Found]:
    """Add a letter to labels that occur again."""
    seen: dict[str, int] = {}
    for each in found:
        times = seen[each.label] = seen.get(each.label, 0) + 1
        yield _Found(each.label if times == 1 else f"{each.label}{'abcdefgh'[times - 1]}", each.words)


def _statements(lines: list[str]) -> Iterator[str]:
    """Yield the sentences that state an obligation or a prohibition."""
    block: list[str] = []
    for line in (*lines, ""):
        bullet = _BULLET.match(line)
        if not line.strip() or bullet or _CARDINALITY.match(line):
            yield from _modal(block)
            block = [line] if line.strip() else []
        else:
            block.append(line)
    yield from _modal(block)


def _modal(block: list[str]) -> Iterator[str]:
    text = " ".join(" ".join(block).split())
    yield from (sentence for sentence in _SENTENCE_END.split(text) if _MODAL.search(sentence))


def _rule(document: str, section: str, label: str, words: list[str]) -> Rule:
    text = " ".join(" ".join(words).split())
    if "-v" in sys.argv:
        print("    ", text[:400])
    return Rule(document, section, label, hashlib.sha256(text.encode()).hexdigest()[:8])


if __name__ == "__main__":
    for rule in rules_in(Path(sys.argv[1])):
        print(*rule.clause, rule.digest)
