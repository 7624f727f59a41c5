"""The list of what operating reveals has a line for everything that can be used or looked at.

The code is the source: commands from the command line, listeners and routes from the installation,
metrics from every call that makes one, events from every vocabulary.
"""

from __future__ import annotations

import ast
import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase
from starlette.routing import Route

from samdrift.accesspoint.events import APEvent
from samdrift.accesspoint.meters import Meters
from samdrift.administration.events import AdminEvent
from samdrift.audit.events import AuditEvent, LogEvent
from samdrift.cli.org.events import OrgEvent
from samdrift.console import LISTENER
from samdrift.entrance.events import EntranceEvent
from samdrift.evidence.events import ProofEvent
from samdrift.governance.consent import ConsentEvent
from samdrift.governance.emergency import EmergencyEvent
from samdrift.governance.events import GovEvent
from samdrift.governance.operatorview import Kind, Leave, Line, Recorded, Sight, lines, page
from samdrift.governance.reviews import ReviewEvent
from samdrift.governance.webhooks import WebhookEvent
from samdrift.governance.whodoors import DoorEvent
from samdrift.installation.covermetrics import CoverMetrics, CoverRow
from samdrift.installation.databasecare import Care, NotificationMetrics
from samdrift.installation.doors import Door
from samdrift.installation.events import RunEvent
from samdrift.installation.expiry import expiry_gauge
from samdrift.installation.health import Condition, Gone
from samdrift.installation.logkeeping import LogMetrics
from samdrift.installation.metrics import (
    HeldMetrics,
    meaningless_gauge,
    metrics_application,
    nothing_to_measure,
)
from samdrift.installation.remindermetrics import ReminderMetrics
from samdrift.isolationcheck.check import CheckEvent
from samdrift.messageclient.events import MKEvent
from samdrift.messageservice.events import MTEvent
from samdrift.operations.backup import BackupEvent
from samdrift.portability.events import MoveEvent
from samdrift.processes.memory import MemoryMetrics
from samdrift.processes.metrics import Gathered
from samdrift.scheduling.held import HeldNumber
from samdrift.vault.events import VaultEvent
from tests.roles.test_command_line_separation import CASES, NO_RECORDS, OF_NO_VAULT, commands, told
from tests.sources import last_name

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "src" / "samdrift"


@cache
def modules() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py"))}


def of(kind: Kind) -> dict[str, Line]:
    return {each.name: each for each in lines() if each.kind is kind}


def test_no_line_is_there_twice_and_each_speaks_both_languages() -> None:
    assert [
        key for key, number in Counter((one.kind, one.name) for one in lines()).items() if number > 1
    ] == []
    for each in lines():
        assert each.says.sv.endswith("."), each.name
        assert each.says.en.endswith("."), each.name
        assert each.says.sv != each.says.en


def test_every_command_has_a_line_and_no_line_is_left_over() -> None:
    assert set(of(Kind.COMMAND)) == {" ".join(path) for path in commands()}


def test_a_command_that_is_known_to_open_no_vault_is_not_said_to() -> None:
    """The separation suite's tables list commands that open no vault; one that names records opens one."""
    said = of(Kind.COMMAND)
    none = {" ".join(path) for path, why in NO_RECORDS.items() if why == OF_NO_VAULT}
    assert [name for name in none if said[name].opens] == []
    opening = {" ".join(path) for path in CASES} - {"log search", "log sample", "log hints"}
    assert [name for name in opening if not said[name].opens] == []


def test_what_takes_a_reason_or_two_persons_is_in_a_log() -> None:
    said = of(Kind.COMMAND)
    for path, command in commands().items():
        line, named = said[" ".join(path)], {str(each.name) for each in command.params}
        if "other" in named:
            assert line.recorded.by_operator, path
        if {"reason", "by"} <= named:
            assert line.recorded is not Recorded.NONE, path


def test_metadata_and_content_come_from_a_vault_that_is_opened() -> None:
    for each in lines():
        if each.kind is not Kind.EVENT and {Sight.METADATA, Sight.CONTENT} & set(each.shows):
            assert each.opens, each.name
        if each.kind is not Kind.COMMAND:
            assert not each.opens, each.name


def test_metadata_and_content_are_shown_by_consent_or_for_another_reason_that_is_named() -> None:
    for each in of(Kind.COMMAND).values():
        shown = each.opens and bool({Sight.METADATA, Sight.CONTENT} & set(each.shows))
        assert (each.leave is not None) == shown, each.name


def test_what_is_said_to_run_within_a_consent_takes_one() -> None:
    """All commands with such a line can name a consent; the others that can show more within one."""
    said = {name for name, each in of(Kind.COMMAND).items() if each.leave is Leave.CONSENT}
    able = {
        " ".join(path)
        for path, command in commands().items()
        if "consent" in {str(each.name) for each in command.params}
    }
    assert said == {
        *("trace", "evidence export", "log export", "log names", "org export"),
        *("gov who-did", "gov incident reached"),
    }
    assert able - said == {"gov who-can", "gov who-could", "gov review show"}


def test_every_listener_and_route_of_monitoring_has_a_line() -> None:
    assert set(of(Kind.LISTENER)) == {*(each.value for each in Door), LISTENER}
    application = metrics_application(CollectorRegistry(), nothing_to_measure)
    routes = [each.path for each in application.routes if isinstance(each, Route)]
    assert len(routes) == len(application.routes)
    assert set(of(Kind.ROUTE)) == set(routes)


MAKERS = re.compile(r"(Gauge|Counter|Histogram|Summary|Info|Enum|Untyped|StateSet)(MetricFamily)?")


def made_in(module: ast.Module) -> Iterator[ast.expr]:
    """Yield the name in each call that creates a metric, as it is written."""
    imported = {
        name.asname or name.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("prometheus_client")
        for name in node.names
        if MAKERS.fullmatch(name.name)
    }
    for node in ast.walk(module) if imported else ():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in imported:
            yield node.args[0]


def named_in(module: ast.Module, wanted: ast.expr) -> str | None:
    """Return the metric's name, found by its constant; ``None`` where it is composed."""
    if isinstance(wanted, ast.Constant):
        return str(wanted.value)
    if not isinstance(wanted, ast.Name):
        return None
    for node in module.body:
        if isinstance(node, ast.Assign) and [wanted.id] == [ast.unparse(each) for each in node.targets]:
            return named_in(module, node.value)
        if isinstance(node, ast.ImportFrom) and wanted.id in {each.name for each in node.names}:
            return str(getattr(import_module(str(node.module)), wanted.id))
    return None


def families() -> dict[str, frozenset[str]]:
    """Return every metric with its labels, from the code that makes them, with every optional label."""
    return {name: labels for name, (_, labels) in exported().items()}


def exported() -> dict[str, tuple[str, frozenset[str]]]:
    """Return every metric with its kind, such as counter, and its labels."""
    queue = SimpleNamespace(usage=0.0, ended=0, others={"another"})
    care = cast(Care, SimpleNamespace(queue=queue, sessions=SimpleNamespace(by_bound=Counter())))
    whose = SimpleNamespace(kind="ap", organisation="0203:habo.se")
    collected = [
        Gone([Condition("database")]),
        LogMetrics(),
        CoverMetrics(lambda: [CoverRow("0203:habo.se", "mt", "on", 1.0)]),
        ReminderMetrics(lambda: [("0203:habo.se", "consent", 1.0, True)]),
        NotificationMetrics(lambda: 0, care),
        HeldMetrics(lambda: [HeldNumber("mt", "smp", 1)]),
    ]
    found: dict[str, tuple[str, frozenset[str]]] = {}

    def labelled(family: Metric) -> tuple[str, frozenset[str]]:
        return family.type, frozenset(label for one in family.samples for label in one.labels)

    for collector in collected:
        for family in collector.collect():
            found[family.name] = labelled(family)
    processes = Gathered(
        cast(Any, None), list, MemoryMetrics(whose, named=True), named=True, alarms=lambda: 0
    )
    asyncio.run(processes.gather())
    for family in processes.collect():
        found.setdefault(family.name, labelled(family))
    registry = CollectorRegistry()
    made = vars(Meters(registry, per_organisation=True)).values()
    for each in (*made, expiry_gauge(registry), meaningless_gauge(registry)):
        if isinstance(each, MetricWrapperBase):
            found[each._name] = str(each._type), frozenset(each._labelnames)
    return found


def test_every_metric_has_a_line_with_its_labels() -> None:
    said = {name: line.labels for name, line in of(Kind.METRIC).items()}
    assert said == families()


def test_every_metric_that_the_code_makes_is_among_them() -> None:
    known, put_together = set(families()), set()
    for path, module in modules().items():
        for wanted in made_in(module):
            name = named_in(module, wanted)
            if name is None:
                put_together.add(path.name)
            else:
                assert name in known, f"{path}: {name}"
    assert put_together == {"meters.py"}


OF_ORGANISATIONS: frozenset[AuditEvent] = frozenset(
    {
        *MTEvent,
        *MKEvent,
        *GovEvent,
        *ConsentEvent,
        *EmergencyEvent,
        *DoorEvent,
        *ReviewEvent,
        *WebhookEvent,
        *ProofEvent,
        *MoveEvent,
        *(set(RunEvent) - {RunEvent.COVER_CHANGED}),
        *CheckEvent,
        APEvent.AP_TRANSFER_QUEUED,
        APEvent.AP_TRANSFER_DELIVERED,
        APEvent.AP_TRANSFER_POSTPONED,
        APEvent.AP_ENVELOPE_RECEIVED,
        APEvent.AP_ENVELOPE_DUPLICATE,
        APEvent.AP_ENVELOPE_ACKNOWLEDGED,
        *EntranceEvent,
        AdminEvent.LOG_CONTROL_RECORDED,
        BackupEvent.ORGANISATION_UNSENT,
        LogEvent.LOG_FACTS_DISPOSED,
        OrgEvent.VAULT_LOCK_CHANGED,
        VaultEvent.VAULT_OPENING_GRANTED,
        VaultEvent.ORGANISATION_EXPORT_BEGUN,
        VaultEvent.ORGANISATION_EXPORTED,
        VaultEvent.ORGANISATION_ENDED,
        VaultEvent.AP_TRANSFER_FAILED,
        VaultEvent.AP_TRANSFER_HASTENED,
        VaultEvent.MT_MARKS_LOST,
        VaultEvent.GOV_STATEMENT_KEPT,
        VaultEvent.MK_SESSION_BEGUN,
        VaultEvent.MK_SESSION_ENDED,
    }
)
"""Events that only organisations' own logs have."""


def vocabularies() -> Iterable[type[AuditEvent]]:
    """Return every vocabulary of events, found in the source."""
    for path, module in modules().items():
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef) and "AuditEvent" in {ast.unparse(base) for base in node.bases}:
                name = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
                yield getattr(import_module(name), node.name)


def test_every_event_has_a_line_or_is_known_to_be_in_organisations_logs_alone() -> None:
    events = {event for vocabulary in vocabularies() for event in vocabulary}
    assert len(events) > 100
    said = set(of(Kind.EVENT))
    assert said <= {event.value for event in events}
    assert {event.value for event in events - OF_ORGANISATIONS} == said


def test_what_the_code_writes_in_the_operators_log_by_name_is_among_them() -> None:
    """The calls are those that name an event; events that are passed on are covered by the vocabularies."""
    by_name = {
        f"{type(event).__name__}.{event.name}": event for vocabulary in vocabularies() for event in vocabulary
    }
    found = set()
    for module in modules().values():
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and last_name(node.func) in ("operator_log", "_moved", "note"):
                found |= {by_name[text] for each in node.args if (text := ast.unparse(each)) in by_name}
    assert len(found) > 10
    assert {event.value for event in found} <= set(of(Kind.EVENT))


def writes_to_the_journal(module: ast.Module) -> bool:
    """Return whether a module has a logger, through which all modules write to the journal."""
    return any(
        isinstance(node, ast.Call)
        and last_name(node.func) == "getLogger"
        and ast.unparse(node.func) in ("logging.getLogger", "getLogger")
        for node in ast.walk(module)
    )


QUIET = frozenset({"installation.startup", "net.server", "processes.loglines"})
"""Modules that set up loggers, of their own or of a library, and write nothing."""


def test_every_module_that_writes_to_the_journal_has_a_line() -> None:
    writing = {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        for path, module in modules().items()
        if writes_to_the_journal(module)
    }
    assert set(of(Kind.JOURNAL)) == writing - QUIET


def test_the_page_is_the_one_in_the_documents() -> None:
    """After a change, run ``./samdrift gov operator-view > docs/operator-view.md``."""
    assert (ROOT / "docs" / "operator-view.md").read_text() == page("en")


@pytest.mark.parametrize("language", ["sv", "en"])
def test_the_command_prints_every_line_in_a_language(language: str) -> None:
    ended, said = told(("gov", "operator-view"), ("--language", language))
    assert ended == 0
    text = said.decode()
    assert [each.name for each in lines() if each.says.of(language) not in text] == []


def test_the_command_prints_json_and_refuses_another_language() -> None:
    ended, said = told(("gov", "operator-view"), ("--json",))
    assert ended == 0
    assert [Line.read(each) for each in json.loads(said)["lines"]] == list(lines())
    assert told(("gov", "operator-view"), ("--language", "fi"))[0] == 2


def test_an_opening_that_is_in_no_log_of_the_organisation_is_said_first() -> None:
    first, _, rest = page("en").partition("## Commands that open a vault, with an entry")
    unrecorded = [each.name for each in lines() if each.unrecorded]
    assert all(f"| `{name}` |" in first for name in unrecorded)
    assert not any(f"| `{name}` |" in rest for name in unrecorded)
