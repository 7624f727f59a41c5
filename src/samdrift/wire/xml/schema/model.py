"""The words that tables of elements are written in: sequences of named elements, and simple values.

Only what the published schemas of the SDK message and the message receipt use:
sequences whose elements have distinct names, with cardinalities, possibly
followed by elements of other namespaces (``xs:any namespace="##other"``,
processed laxly), and simple types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from samdrift.wire import xml
from samdrift.wire.xml.schema import lexical

XSD = "http://www.w3.org/2001/XMLSchema"


@dataclass(frozen=True, slots=True)
class Simple:
    """A simple value.

    ``type_name`` is the expanded name of its XML Schema type, or None for an
    anonymous one. ``accepts`` judges the text, None takes any; ``says`` completes
    "the value of … " when it is refused. ``attributes`` are those it may carry.
    """

    type_name: str | None
    accepts: Callable[[str], bool] | None = None
    says: str = ""
    attributes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Particle:
    """An element in a sequence: expanded name, type, and how often; ``maximum`` None is unbounded."""

    tag: str
    type: Sequence | Simple
    minimum: int = 1
    maximum: int | None = 1


@dataclass(frozen=True, slots=True)
class Sequence:
    """An element that holds elements, in this order.

    When ``extensible``, elements of any other namespace than the format's own
    may follow the last one.
    """

    type_name: str
    particles: tuple[Particle, ...]
    extensible: bool = False
    positions: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        positions = {particle.tag: index for index, particle in enumerate(self.particles)}
        object.__setattr__(self, "positions", positions)


@dataclass(frozen=True, slots=True)
class Schema:
    """A format: its target namespace, and its one root element with that element's type."""

    namespace: str
    root: str
    type: Sequence
    names: frozenset[str] = field(init=False, repr=False, compare=False)
    """The expanded name of every element that the format declares."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", frozenset({self.root, *_declared(self.type)}))

    def path(self, element: xml.Element) -> str:
        """Return the path of ``element``, or of the innermost ancestor down to which all names are declared.

        An element with another name was named by the document's author, perhaps in what came
        out of a decryption, and no receipt or log repeats that; ``NA`` where not even the root
        is the format's own.
        """
        named: xml.Element | None = None
        for one in (*reversed(list(element.iterancestors())), element):
            if one.tag not in self.names:
                break
            named = one
        return "NA" if named is None else xml.path(named)


def _declared(sequence: Sequence) -> Iterator[str]:
    for particle in sequence.particles:
        yield particle.tag
        if isinstance(particle.type, Sequence):
            yield from _declared(particle.type)


def limited(length: int) -> Simple:
    """A text of at most so many characters, of an anonymous type."""
    return Simple(None, lambda value: len(value) <= length, f"is longer than {length} characters")


TEXT = Simple(xml.name(XSD, "string"))
BOOLEAN = Simple(xml.name(XSD, "boolean"), lexical.is_boolean, "is not true or false")
DATE_TIME = Simple(xml.name(XSD, "dateTime"), lexical.is_date_time, "is not a date and time")
