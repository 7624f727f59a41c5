"""Sections in evidence: all entries of a log from the first one about a message to the log's end.

An entry whose facts were disposed of is in a section as its leaf: number, retention class and hash. As in a
whole log (:mod:`samdrift.audit.logverifying`), facts may be missing only if a decision in the log disposed of
them. Otherwise an entry about the message could be left out by leaving out its facts. The decision is later
than what it disposed of, so it is in the same section.
"""

from __future__ import annotations

from collections.abc import Iterator

from samdrift.audit.chain import ChainHead, LogVerification
from samdrift.audit.entries import LogEntry
from samdrift.audit.events import LogEvent, Retention
from samdrift.audit.leaves import Leaf
from samdrift.audit.logverifying import disposal_in
from samdrift.audit.merkle import Frontier
from samdrift.evidence.findings import Finding


class Section:
    """The section of one log, verified as it is read."""

    def __init__(self, first: LogEntry | Leaf, tree: Frontier | None) -> None:
        """Begin before the entry ``first``, after the entries of ``tree``, if there is a tree by then."""
        self.hashes: dict[int, str] = {}
        """The hash of each entry, by number."""
        self.about: list[LogEntry] = []
        """Entries that name a message or envelope."""
        self._known = LogVerification(ChainHead(first.sequence - 1, _before(first)), tree)
        self._disposed: list[Leaf] = []
        self._decided: dict[int, int] = {}
        """The last number up to which a decision disposed of facts, by class."""
        self._kept: dict[int, int] = {}
        """Number of the first entry with facts, by class."""

    @property
    def head(self) -> ChainHead:
        """Return the last place up to which the section is valid."""
        return self._known.head

    def take(self, entry: LogEntry | Leaf) -> None:
        """Add the next entry; raise :class:`ValueError` if it does not continue the section."""
        if not self._known.take([entry]).intact:
            raise ValueError(f"the chain is broken after entry {self.head.sequence}")
        if isinstance(entry, Leaf):
            self.hashes[entry.sequence] = entry.commitment.hex()
            self._disposed.append(entry)
            return
        self.hashes[entry.sequence] = entry.hash.hex()
        if {"message", "envelope"} & entry.ids.keys():
            self.about.append(entry)
        if entry.retention is not None:
            self._kept.setdefault(entry.retention, entry.sequence)
        if entry.retention == Retention.LOG and entry.event == LogEvent.LOG_FACTS_DISPOSED:
            self._decide(entry)

    def disposals(self, where: str) -> Iterator[Finding]:
        """Check that a decision disposed of all facts that are missing; yield nothing if none are."""
        if not self._disposed:
            return
        for leaf in self._disposed:
            if leaf.sequence > self._decided.get(leaf.retention, 0):
                missing = f"the facts of entry {leaf.sequence} are missing"
                yield Finding(where, False, f"{missing}, and no decision in the section disposed of them")
                return
        for retention, through in sorted(self._decided.items()):
            kept = self._kept.get(retention, through + 1)
            if kept <= through:
                yield Finding(where, False, f"entry {kept} has facts, although a decision disposed of them")
                return
        yield Finding(where, True, f"a decision disposed of the facts of all {len(self._disposed)} entries")

    def _decide(self, entry: LogEntry) -> None:
        """Read a decision to dispose of facts; ignore it if it disposes of what cannot be disposed of."""
        try:
            retention, through, _ = disposal_in(entry.ids)
        except ValueError:
            return
        if retention is not Retention.LOG and through < entry.sequence:
            self._decided[retention] = max(through, self._decided.get(retention, 0))


def _before(entry: LogEntry | Leaf) -> bytes:
    """Return the hash of the chain before the first entry of a section, according to that entry."""
    if isinstance(entry, Leaf):
        return b""
    return entry.previous if entry.leaf is None else bytes.fromhex(entry.ids.get("head", ""))
