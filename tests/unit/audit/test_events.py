"""Events of logs: each is declared once by the package that logs it, has a known class, and is documented."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from importlib import import_module
from pathlib import Path

import pytest

from samdrift.audit.events import AuditEvent, LogEvent, Retention, retention_of
from tests.sources import nodes_of
from tests.unit.audit.declared import SOURCE, declared, declaring

LOG_PAGE = SOURCE.parents[1] / "docs" / "log.md"
NAME = re.compile(r"[a-z]+(:[a-z]+(-[a-z]+)*){1,2}")


def _package(module: str) -> str:
    return module.split(".")[1]


def _named() -> dict[tuple[str, str], set[str]]:
    """Return the packages that name each event outside its declaration, by class and member."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    kinds = {type(event).__name__ for event in declared()}
    for path in SOURCE.rglob("*.py"):
        for node in nodes_of(path.read_text(), kinds):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                found[node.value.id, node.attr].add(path.relative_to(SOURCE).parts[0].removesuffix(".py"))
    return found


def test_no_event_is_declared_twice_and_each_has_a_name_of_the_known_form() -> None:
    names = Counter(event.value for event in declared())
    assert len(names) > 130
    assert [name for name, count in names.items() if count > 1] == []
    assert [name for name in names if not NAME.fullmatch(name)] == []


def test_each_kind_is_declared_once_so_that_a_search_for_a_member_finds_all_that_write_it() -> None:
    members = Counter(event.name for event in declared())
    assert [member for member, count in members.items() if count > 1] == []
    kinds = Counter(type(event).__name__ for event in set(declared()))
    assert len(kinds) == len({type(event) for event in declared()})


def test_each_event_is_named_in_the_package_that_declares_it() -> None:
    named = _named()
    elsewhere = [
        event
        for event in declared()
        if _package(type(event).__module__) not in named[type(event).__name__, event.name]
    ]
    assert elsewhere == []


def test_every_event_is_documented_with_its_class() -> None:
    rows = re.findall(r"^\| `([a-z:-]+)` \| (\w+) \| .{10,} \|$", LOG_PAGE.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted((event.value, event.retention.name.lower()) for event in declared())


def test_each_declaring_module_stands_on_the_page() -> None:
    page = LOG_PAGE.read_text()
    for module in declaring():
        path = Path(str(import_module(module).__file__)).relative_to(SOURCE.parents[1])
        assert f"**[{_package(module)}](../{path})**" in page


@pytest.mark.parametrize(
    ("name", "retention"),
    [
        ("log:anything:new", Retention.LOG),
        ("mt:message:read", Retention.READING),
        ("mt:message:new", Retention.TRANSFER),
        ("mk:reading:file", Retention.READING),
        ("vault:opening:denied", Retention.ACCESS),
        ("vault:lock:opened", Retention.ADMINISTRATION),
        ("isolation:checked", Retention.ADMINISTRATION),
        ("mt:later:thing", None),
        ("later", None),
        ("", None),
    ],
)
def test_the_class_is_that_of_source_and_subject(name: str, retention: Retention | None) -> None:
    assert retention_of(name) is retention


def test_an_event_without_a_class_cannot_be_asked_for_one() -> None:
    class Unknown(AuditEvent):
        LATER = "later:subject:done"

    with pytest.raises(LookupError):
        _ = Unknown.LATER.retention
    assert LogEvent.LOG_TREE_BEGUN.retention is Retention.LOG
