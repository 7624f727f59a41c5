"""Exclusive canonical form of a part in place equals that of the part parsed separately.

In lxml 6 inclusive forms differ in place, so those are made from a part parsed separately; this test shows
that the exclusive form does not need that.
"""

from __future__ import annotations

import random

import pytest
from lxml import etree

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import canonical, standalone

_URIS = ("urn:1", "urn:2", "urn:3")


def _document(chance: random.Random, depth: int, scope: dict[str, str]) -> str:
    """Return a document full of namespace declarations, redeclared and undeclared."""
    scope = dict(scope)
    declared = ""
    for prefix in ("", "a", "b"):
        if chance.random() < 0.35:
            scope[prefix] = chance.choice(_URIS) if prefix else chance.choice((*_URIS, ""))
            declared += f' xmlns{":" if prefix else ""}{prefix}="{scope[prefix]}"'
    prefixes = [f"{prefix}:" for prefix in scope if prefix] + [""]
    name = chance.choice(prefixes) + chance.choice("xyz")
    attribute = f' {chance.choice(prefixes)}{chance.choice("xyz")}="v"' if chance.random() < 0.5 else ""
    content = ""
    if depth:
        content = "".join(
            _document(chance, depth - 1, scope) if chance.random() < 0.75 else "text"
            for _ in range(chance.randint(0, 3))
        )
    return f"<{name}{declared}{attribute}>{content}</{name}>"


@pytest.mark.parametrize("prefixes", [(), ("a",), ("a", "b")])
def test_a_part_where_it_stands_has_the_form_of_the_part_alone(prefixes: tuple[str, ...]) -> None:
    chance = random.Random(7)
    for _ in range(300):
        root = etree.fromstring(_document(chance, 4, {}))
        for part in root.iterdescendants():
            alone = canonical(standalone(part), exclusive=True, inclusive_prefixes=prefixes)
            assert canonical(part, exclusive=True, inclusive_prefixes=prefixes) == alone


def test_a_relative_namespace_has_no_canonical_form() -> None:
    root = etree.fromstring('<x xmlns="relative"/>')
    with pytest.raises(WireError) as caught:
        canonical(root, exclusive=True)
    assert caught.value.fault is WireFault.FORBIDDEN_XML
