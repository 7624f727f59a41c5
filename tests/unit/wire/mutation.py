"""Documents with faults of every kind that we could think of, made from a seed.

This works on trees of any format: a :class:`Format` says how a valid document is made, and which values are
worth trying in which place. The same seed makes the same documents everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from random import Random

from lxml import etree

XSI = "http://www.w3.org/2001/XMLSchema-instance"
FOREIGN = "urn:example:foreign"

ODD_TEXTS = (
    "",
    " ",
    "\n\t ",
    "\u00a0",
    "x",
    "räksmörgås",
    "😀" * 10,
    "e\u0301",
    "<&>\"'",
    " padded ",
    "1",
    "true",
    "0203:habo.se",
    "ö" * 256,
    "ö" * 257,
    "😀" * 256,
    "😀" * 257,
    "x" * 3000,
)


@dataclass(frozen=True, slots=True)
class Format:
    """The knowledge about a format that the mutations need."""

    namespace: str
    make: Callable[[Random], etree._Element]
    """Makes a valid document."""
    values: Mapping[str, tuple[str, ...]]
    """Values near the border between valid and invalid, by local name."""
    attributes: tuple[tuple[str, tuple[str, ...]], ...]
    """Expanded names and values of attributes that may or may not be allowed."""
    fragments: tuple[str, ...]
    """XML of elements to insert where they may not belong."""


def document(rng: Random, format_: Format) -> bytes:
    """Return a document with up to three faults, as bytes; one in twenty is also damaged as bytes."""
    root = format_.make(rng)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        root = changed(rng, root, format_)
    data = etree.tostring(root.getroottree(), encoding="UTF-8", xml_declaration=rng.random() < 0.5)
    return rng.choice(_DAMAGES)(rng, data) if rng.random() < 0.05 else data


def changed(rng: Random, root: etree._Element, format_: Format) -> etree._Element:
    """Return the document after one change, which may include wrapping it in another document."""
    return rng.choice(_MUTATIONS)(rng, root, format_)


_Mutation = Callable[[Random, etree._Element, Format], etree._Element]


def _elements(root: etree._Element) -> list[etree._Element]:
    return list(root.iter("*"))


def _inner(rng: Random, root: etree._Element) -> etree._Element:
    return rng.choice(_elements(root)[1:] or [root])


def _delete(rng: Random, root: etree._Element, format_: Format) -> etree._Element:
    element = _inner(rng, root)
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)
    return root


def _repeat(rng: Random, root: etree._Element, format_: Format) -> etree._Element:
    element = _inner(rng, root)
    if element.getparent() is not None:
        element.addnext(deepcopy(element))
    return root


def _move(rng: Random, root: etree._Element, format_: Format) -> etree._Element:
    element = _inner(rng, root)
    targets = [other for other in _elements(root) if element not in (other, *other.iterancestors())]
    if targets:
        target = rng.choice(targets)
        target.insert(rng.randrange(len(target) + 1), element)
    return root


def _swap(rng: Random, root: etree._Element, format_: Format) -> etree._Element:
    parents = [element for element in _elements(root) if len(element) > 1]
    if parents:
        parent = rng.choice(parents)
        parent.insert(rng.randrange(len(parent)), parent[rng.randrange(len(parent))])
    return root


def _value(rng: Random, root: etree._Element, format_: Format) -> etree._Element:
    candidates = [e for e in _elements(root) if etree.QName(e).localname in format_.values and not len(e)]
    if candidates:
        element = rng.choice(candidates)
        element.text = rng.choice(format_.values[etree.QName(element).localname])
    return root


def _odd_text(rng: Random, root: etree._Element, format_: Format) -> etree._Element:
    element = rng.choice(_elements(root))
    if len(element) and rng.random() < 0.5:
        element[rng.randrange(len(element))].tail = rng.choice(ODD_TEXTS)
    else:
        element.text = rng.choice(ODD_TEXTS)
    return root


def _clear(rng: Random, root: etree._Element, format_: Format) -> etree._Element:
    element = rng.choice(_elements(root))
    for child in list(element):
        element.remove(child)
    element.text = rng.choice((None, "", " ", "text"))
    return root


def _rename(rng: Random, root: etree._Element, format_: Format) -> etree._Element:
    element = rng.choice(_elements(root))
    name = etree.QName(element)
    local = rng.choice((name.localname, name.localname.swapcase(), "other", name.localname))
    namespace = rng.choice((name.namespace, FOREIGN, ""))
    element.tag = f"{{{namespace}}}{local}" if namespace else local
    return root


def _wrap(rng: Random, root: etree._Element, format_: Format) -> etree._Element:
    element = _inner(rng, root)
    parent = element.getparent()
    if parent is not None:
        wrapper = etree.Element(rng.choice((f"{{{FOREIGN}}}wrapper", str(element.tag))))
        parent.replace(element, wrapper)
        wrapper.append(element)
    return root


def _nest(rng: Random, root: etree._Element, format_: Format) -> etree._Element:
    """Nest a whole document inside elements of another namespace."""
    inner = root if rng.random() < 0.3 else format_.make(rng)
    for _ in range(rng.choice((1, 2, 5))):
        wrapper = etree.Element(f"{{{FOREIGN}}}level")
        wrapper.append(inner)
        inner = wrapper
    outer = format_.make(rng)
    rng.choice(_elements(outer)).append(inner)
    return outer


def _fragment(rng: Random, root: etree._Element, format_: Format) -> etree._Element:
    element = rng.choice(_elements(root))
    fragment = etree.fromstring(rng.choice(format_.fragments))
    element.insert(rng.choice((len(element), rng.randrange(len(element) + 1))), fragment)
    return root


def _attribute(rng: Random, root: etree._Element, format_: Format) -> etree._Element:
    name, values = rng.choice(format_.attributes)
    rng.choice(_elements(root)).set(name, rng.choice(values))
    return root


def _remove_attribute(rng: Random, root: etree._Element, format_: Format) -> etree._Element:
    carriers = [element for element in _elements(root) if element.attrib]
    if carriers:
        rng.choice(carriers).attrib.clear()
    return root


def _comment(rng: Random, root: etree._Element, format_: Format) -> etree._Element:
    """Insert a comment or processing instruction, between elements or in the middle of a text."""
    element = rng.choice(_elements(root))
    node = rng.choice((etree.Comment(" note "), etree.ProcessingInstruction("note", "x")))
    text = element.text or ""
    cut = rng.randrange(len(text) + 1)
    element.text, node.tail = text[:cut], text[cut:]
    element.insert(0, node)
    return root


def _cdata(rng: Random, root: etree._Element, format_: Format) -> etree._Element:
    element = rng.choice(_elements(root))
    if not len(element):
        element.text = etree.CDATA(element.text or " ")
    return root


_MUTATIONS: tuple[_Mutation, ...] = (
    _delete,
    _repeat,
    _move,
    _swap,
    *(_value,) * 8,
    _odd_text,
    _clear,
    _rename,
    _wrap,
    _nest,
    _fragment,
    _fragment,
    _attribute,
    _remove_attribute,
    _comment,
    _cdata,
)


def _truncate(rng: Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def _flip(rng: Random, data: bytes) -> bytes:
    position = rng.randrange(len(data))
    return data[:position] + bytes((rng.randrange(256),)) + data[position + 1 :]


def _double(rng: Random, data: bytes) -> bytes:
    return data + data


def _doctype(rng: Random, data: bytes) -> bytes:
    body = data[data.index(b"?>") + 2 :] if data.startswith(b"<?xml") else data
    return b'<!DOCTYPE x [<!ENTITY e "text">]>' + body


_DAMAGES: tuple[Callable[[Random, bytes], bytes], ...] = (_truncate, _flip, _flip, _double, _doctype)
