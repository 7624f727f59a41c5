"""Canonical forms of parts of documents (Canonical XML 1.0 2.4, 1.1 2.4; Exclusive XML Canonicalization)."""

from __future__ import annotations

import pytest
from lxml import etree

from samdrift.wire.crypto.xmldsig import Canonicalization, canonical_part
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import parse
from tests.unit.wire.envelope.samples import one

INCLUSIVE, INCLUSIVE_1_1, EXCLUSIVE = Canonicalization


def part(data: bytes, method: Canonicalization, prefixes: tuple[str, ...] = ()) -> bytes:
    return canonical_part(one(parse(data), "//*[local-name()='part']"), method, prefixes)


@pytest.mark.parametrize("method", [INCLUSIVE, INCLUSIVE_1_1])
def test_inclusive_forms_take_in_the_namespaces_of_the_ancestors(method: Canonicalization) -> None:
    data = b'<r xmlns="urn:d" xmlns:b="urn:b" xmlns:a="urn:a"><x xmlns:b="urn:c"><a:part q="b:z"/></x></r>'
    assert part(data, method) == b'<a:part xmlns="urn:d" xmlns:a="urn:a" xmlns:b="urn:c" q="b:z"></a:part>'


@pytest.mark.parametrize("method", [INCLUSIVE, INCLUSIVE_1_1])
def test_a_default_namespace_inside_another_is_kept(method: Canonicalization) -> None:
    """This occurs in SignedInfo of DIGG's example; lxml 6 is wrong if it canonicalizes the part in place."""
    data = b'<r xmlns="urn:d"><part xmlns="urn:e"><x><y xmlns=""/></x></part></r>'
    assert part(data, method) == b'<part xmlns="urn:e"><x><y xmlns=""></y></x></part>'


def test_the_exclusive_form_takes_in_what_is_used_or_listed() -> None:
    data = b'<r xmlns="urn:d" xmlns:b="urn:b" xmlns:a="urn:a" xml:lang="sv"><a:part q="b:z"/></r>'
    assert part(data, EXCLUSIVE) == b'<a:part xmlns:a="urn:a" q="b:z"></a:part>'
    assert part(data, EXCLUSIVE, ("b",)) == b'<a:part xmlns:a="urn:a" xmlns:b="urn:b" q="b:z"></a:part>'


def test_inclusive_forms_inherit_xml_attributes_from_the_nearest_ancestor() -> None:
    data = b'<r xml:lang="sv" xml:space="preserve"><x xml:lang="en"><part><y/></part></x></r>'
    expected = b'<part xml:lang="en" xml:space="preserve"><y></y></part>'
    assert part(data, INCLUSIVE) == part(data, INCLUSIVE_1_1) == expected
    own = b'<r xml:lang="sv"><part xml:lang="fi"/></r>'
    assert part(own, INCLUSIVE) == b'<part xml:lang="fi"></part>'


def test_version_1_0_inherits_xml_id_and_version_1_1_does_other_things_that_are_refused() -> None:
    data = b'<r xml:id="i"><part/></r>'
    assert part(data, INCLUSIVE) == b'<part xml:id="i"></part>'
    with pytest.raises(WireError) as refused:
        part(data, INCLUSIVE_1_1)
    assert refused.value.fault is WireFault.ALGORITHM


@pytest.mark.parametrize("method", Canonicalization)
def test_comments_and_what_surrounds_a_part_are_left_out(method: Canonicalization) -> None:
    assert part(b"<r><!-- a --><?b?><part>c<!-- d -->e<?f g?></part>tail</r>", method) == (
        b"<part>ce<?f g?></part>"
    )


def test_the_tree_is_left_as_it_was() -> None:
    data = b'<r xmlns="urn:d" xml:lang="sv"><part xmlns="urn:e"><x/></part> tail</r>'
    root = parse(data)
    canonical_part(root[0], INCLUSIVE)
    assert etree.tostring(root) == data
