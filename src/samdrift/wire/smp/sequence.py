"""Reading the children of an element in the order that a schema fixes."""

from __future__ import annotations

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import Element, children, path


class Sequence:
    """The child elements of ``parent``, taken from the front.

    Every refusal is a :class:`WireError` that names the place, never the content.
    """

    def __init__(self, parent: Element, namespace: str) -> None:
        self._parent = parent
        self._namespace = namespace
        self._left = children(parent)

    def one(self, local: str) -> Element:
        """The next child, which must be ``local``."""
        found = self.maybe(local)
        if found is None:
            raise WireError(WireFault.STRUCTURE, f"{local} is missing", path(self._parent))
        return found

    def maybe(self, local: str) -> Element | None:
        """The next child when it is ``local``."""
        if self._left and self._left[0].tag == f"{{{self._namespace}}}{local}":
            return self._left.pop(0)
        return None

    def many(self, local: str) -> list[Element]:
        """All next children that are ``local``."""
        found = []
        while (child := self.maybe(local)) is not None:
            found.append(child)
        return found

    def end(self) -> None:
        """Nothing may be left."""
        if self._left:
            raise WireError(WireFault.STRUCTURE, "an element that does not belong here", path(self._left[0]))
