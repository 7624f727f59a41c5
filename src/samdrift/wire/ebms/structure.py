"""Reading elements that must stand in a prescribed order, as the ebMS 3.0 schema says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import Element, Namespace, children, local_name, name, path, text

_MAX_VALUE = 1024


@cache
def eb(local: str) -> str:
    """The expanded name of an ebMS element."""
    return name(Namespace.EBMS3, local)


@dataclass(frozen=True, slots=True)
class Slot:
    """A child in a sequence: expanded name and how often it may stand there."""

    tag: str
    minimum: int = 1
    maximum: int = 1


Slots = tuple[Slot, ...]
"""The children that an element has, in order."""


def one(local: str) -> Slot:
    """Exactly one child by that name."""
    return Slot(eb(local))


def optional(local: str, maximum: int = 1) -> Slot:
    """None or up to ``maximum`` children by that name."""
    return Slot(eb(local), 0, maximum)


def read_sequence(element: Element, slots: Slots) -> list[list[Element]]:
    """The children of ``element`` by slot, in order; :class:`WireError` (``STRUCTURE``) otherwise."""
    waiting = children(element)
    found: list[list[Element]] = []
    at = 0
    for slot in slots:
        start, end = at, min(len(waiting), at + slot.maximum)
        while at < end and waiting[at].tag == slot.tag:
            at += 1
        if at - start < slot.minimum:
            raise malformed(element, "an element is missing or misplaced")
        found.append(waiting[start:at])
    if at < len(waiting):
        raise malformed(element, "has an element that does not belong there")
    return found


def value(element: Element) -> str:
    """The text of an element without white space round it; neither empty nor unreasonably long."""
    if children(element):
        raise malformed(element, f"{local_name(element)} holds elements")
    found = text(element).strip()
    if not found or len(found) > _MAX_VALUE:
        raise malformed(element, f"{local_name(element)} is empty or too long")
    return found


def malformed(element: Element, message: str) -> WireError:
    """The error for a header that is not as the schema says."""
    return WireError(WireFault.STRUCTURE, message, path(element))
