"""Hints for log control: readings that stand out under each rule, and none where nothing stands out."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

from samdrift.audit.entries import Happening, LogEntry
from samdrift.audit.events import AuditEvent
from samdrift.evidence.loghints import Hint, HintKind, Rules, hints
from samdrift.messageclient.events import MKEvent
from tests.unit.audit.logs import Row, made
from tests.unit.cli.commandline import in_process

RULES = Rules(many=3, begins=time(7), ends=time(18), zone=ZoneInfo("Europe/Stockholm"))
TUESDAY = datetime(2026, 3, 3, 9, tzinfo=UTC)
_NUMBERS = count(1)


def entry(event: AuditEvent, who: str, at: datetime = TUESDAY, **facts: str) -> LogEntry:
    happening = Happening(at, event, who, "read", facts)
    return LogEntry.placed(happening, next(_NUMBERS), b"", bytes(32), event.retention.value, bytes(16))


def read(who: str, at: datetime = TUESDAY, **facts: str) -> LogEntry:
    return entry(MKEvent.MK_READING_MESSAGE, who, at, **facts)


def handled(by: str, case: str) -> LogEntry:
    return entry(MKEvent.MK_CONVERSATION_CHANGED, f"user:{by}", case=case, handler=by, action="take")


def test_more_readings_on_one_day_than_the_rule_allows() -> None:
    quiet = [read("user:kim") for _ in range(3)]
    busy = [read("user:alex") for _ in range(4)]
    (hint,) = hints([*quiet, *busy], RULES)
    first, last = busy[0].sequence, busy[-1].sequence
    assert hint == Hint(HintKind.MANY, "alex", date(2026, 3, 3), 4, first, last)


def test_the_same_readings_on_two_days_are_not_many() -> None:
    days = [read("user:kim", datetime(2026, 3, day, 9, tzinfo=UTC)) for day in (3, 3, 3, 4, 4, 4)]
    assert hints(days, RULES) == []


def test_nights_and_weekends_are_those_of_the_organisations_own_time() -> None:
    """17:30 in UTC is evening there in summer and in winter; 05:30 is morning only in summer."""
    winter = [datetime(2026, 1, 13, *at, tzinfo=UTC) for at in ((5, 30), (6, 0), (16, 59), (17, 0))]
    summer = [datetime(2026, 6, 16, *at, tzinfo=UTC) for at in ((4, 59), (5, 0), (15, 59), (16, 0))]
    saturday = datetime(2026, 3, 7, 11, tzinfo=UTC)
    found = {
        at: [hint.kind for hint in hints([read("user:kim", at)], RULES)]
        for at in (*winter, *summer, saturday)
    }
    odd = {at for at, kinds in found.items() if kinds == [HintKind.HOURS]}
    assert odd == {winter[0], winter[3], summer[0], summer[3], saturday}


def test_a_reading_in_a_case_of_another_names_whose_it_was_then() -> None:
    before = read("user:alex", case="c1")
    taken, own = handled("kim", "c1"), read("user:kim", case="c1")
    others = [read("user:alex", case="c1"), read("user:alex", case="c1")]
    elsewhere = read("user:alex", case="c2")
    given_up = entry(MKEvent.MK_CONVERSATION_CHANGED, "user:kim", case="c1", handler="", action="free")
    after = read("user:alex", case="c1")
    (hint,) = hints(
        [before, taken, own, *others, elsewhere, given_up, after], Rules(10, time(7), time(18), UTC)
    )
    assert (hint.kind, hint.person, hint.case, hint.handler) == (HintKind.ANOTHERS, "alex", "c1", "kim")
    assert (hint.readings, hint.first, hint.last) == (2, others[0].sequence, others[1].sequence)


def test_a_system_stands_out_by_no_rule() -> None:
    night = datetime(2026, 3, 3, 2, tzinfo=UTC)
    assert hints([read("system:journal", night) for _ in range(50)], RULES) == []


def test_the_command_reads_an_exported_log_and_ends_with_1_where_nothing_stands_out(tmp_path: Path) -> None:
    log = made(40, each=20)
    ended = in_process("log", "hints", log.write(tmp_path / "log"))
    assert (ended.status, ended.output, ended.complaints) == (1, "", "")
    saturday = Happening(datetime(2026, 3, 7, 11, tzinfo=UTC), "mk:reading:message", "user:=kim", "read", {})
    log.rows.append(Row.of(41, saturday, bytes(16)))
    ended = in_process("log", "hints", log.write(tmp_path / "odd"))
    said = "kind,person,day,readings,first,last,case,handler\nodd-hours,'=kim,2026-03-07,1,41,41,,\n"
    assert (ended.status, ended.output) == (0, said)
    assert in_process("log", "hints", tmp_path / "missing").status == 2
