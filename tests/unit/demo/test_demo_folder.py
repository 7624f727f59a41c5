"""The folder of the demonstration: files in it that are not its own are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from samdrift.config.errors import Unusable
from samdrift.demo.world import _alone, prepare
from tests.unit.cli.commandline import in_process


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "thesis.txt"
    kept.write_text("two years of work")
    ended = in_process("demo", "--once", "--folder", tmp_path)
    assert (ended.status, ended.output) == (2, "")
    assert ended.complaints == f"samdrift: {tmp_path}: contains something other than a demonstration\n"
    assert kept.read_text() == "two years of work"


def test_somebody_elses_file_called_layout_makes_no_demonstration(tmp_path: Path) -> None:
    (tmp_path / "layout").write_text("<html>")
    with pytest.raises(Unusable):
        prepare(tmp_path)
    assert (tmp_path / "layout").read_text() == "<html>"


def test_what_an_older_version_made_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "layout").write_text("0")
    (tmp_path / "federation").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path.parent)
    (tmp_path / "samdrift.toml").touch()
    prepare(tmp_path)
    assert tmp_path.parent.is_dir()
    assert [one.name for one in tmp_path.iterdir()] == ["layout"]


def test_what_this_version_made_is_used_again(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "demo"
    prepare(folder)
    (folder / "federation").mkdir()
    prepare(folder)
    assert (folder / "federation").is_dir()


def test_where_a_demonstration_runs_no_other_one_begins(tmp_path: Path) -> None:
    """Both would run the same servers, and one could delete what the other has just made."""
    folder = tmp_path / "demo"
    with _alone(folder):
        (folder / "layout").write_text("0")
        ended = in_process("demo", "--once", "--folder", folder)
        assert (ended.status, (folder / "layout").read_text()) == (2, "0")
        assert ended.complaints.count("\n") == 1
        assert f"{folder}: a demonstration runs there" in ended.complaints
    with _alone(folder):
        assert [one.name for one in folder.iterdir()] == ["layout"]


@pytest.mark.parametrize("below", ["", "x"])
def test_a_file_in_place_of_the_folder_is_told_in_one_line(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.touch()
    ended = in_process("demo", "--once", "--folder", file / below)
    assert ended.status == 2
    assert "not a directory" in ended.complaints
    assert ended.complaints.count("\n") == 1
