"""Reading elements that must stand in a prescribed order, as the ebMS 3.0 schema says."""

from __future__ import annotations

from dataclasses import dataclass

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import Element, Namespace, children, local_name, name, path, text

_MAX_VALUE = 1024


@dataclass(frozen=True, slots=True)
class Slot:
    """A child in a sequence: local name in the ebMS namespace and how often it may stand there."""

    local: str
    minimum: int = 1
    maximum: int = 1


def eb(local: str) -> str:
    """The expanded name of an ebMS element."""
    return name(Namespace.EBMS3, local)


def sequence(element: Element, *slots: Slot) -> list[list[Element]]:
    """The children of ``element`` by slot, in order; :class:`WireError` (``STRUCTURE``) otherwise."""
    waiting = children(element)
    found: list[list[Element]] = []
    for slot in slots:
        size = 0
        while size < min(len(waiting), slot.maximum) and waiting[size].tag == eb(slot.local):
            size += 1
        if size < slot.minimum:
            raise malformed(element, f"{slot.local} is missing or misplaced")
        found.append(waiting[:size])
        waiting = waiting[size:]
    if waiting:
        raise malformed(element, "has an element that does not belong there")
    return found


def value(element: Element) -> str:
    """The text of an element without white space round it; neither empty nor unreasonably long."""
    if len(children(element)):
        raise malformed(element, f"{local_name(element)} holds elements")
    found = text(element).strip()
    if not found or len(found) > _MAX_VALUE:
        raise malformed(element, f"{local_name(element)} is empty or too long")
    return found


def malformed(element: Element, message: str) -> WireError:
    """The error for a header that is not as the schema says."""
    return WireError(WireFault.STRUCTURE, message, path(element))
