"""Values read from files, while the files are replaced."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from samdrift.net.following import Followed, file_state, folder_state


def number(file: Path) -> Callable[[], int]:
    return lambda: int(file.read_text())


def test_a_new_state_is_read_and_an_old_one_is_not_read_again(tmp_path: Path) -> None:
    file = tmp_path / "number"
    file.write_text("1")
    reads = []

    def build() -> int:
        reads.append(file.read_text())
        return int(reads[-1])

    followed = Followed("number", build, lambda: file_state(file))
    assert [followed.current(), followed.current()] == [1, 1]
    file.write_text("22")
    assert [followed.current(), followed.current()] == [22, 22]
    assert reads == ["1", "22"]


def test_files_may_be_looked_at_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    looks = []
    followed = Followed("number", lambda: 1, lambda: looks.append(now), seldom=True)
    for seconds in (0.0, 0.5, 0.5, 0.9, 0.1):
        now += seconds
        followed.current()
    assert looks == [100.0, 101.0, 102.0]


def test_what_cannot_be_read_at_first_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Followed("number", number(tmp_path / "none"), lambda: None)


def test_what_failed_for_another_reason_than_the_files_is_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "number"
    file.write_text("1")
    failing = False

    def build() -> int:
        if failing:
            raise OSError("too many open files")
        return int(file.read_text())

    followed = Followed("number", build, lambda: file_state(file))
    file.write_text("22")
    failing = True
    assert followed.current() == 1
    failing = False
    assert followed.current() == 22


def test_a_change_while_the_files_are_read_is_seen_the_next_time(tmp_path: Path) -> None:
    file = tmp_path / "number"
    file.write_text("1")

    def build() -> int:
        found = int(file.read_text())
        if found == 22:
            file.write_text("333")
        return found

    followed = Followed("number", build, lambda: file_state(file))
    file.write_text("22")
    assert [followed.current(), followed.current()] == [22, 333]


def test_files_that_come_go_and_change_are_a_new_state(tmp_path: Path) -> None:
    states = {folder_state(tmp_path / "none"), folder_state(tmp_path)}
    assert len(states) == 1
    file = tmp_path / "a"
    file.write_text("1")
    states.add(folder_state(tmp_path))
    os.utime(file, ns=(1, 1))
    states.add(folder_state(tmp_path))
    file.rename(tmp_path / "b")
    states.add(folder_state(tmp_path))
    assert len(states) == 4
