"""``samdrift addressbook``: the copy of the address book, and its age."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli.commandline import in_process
from tests.unit.config.test_reader import GOOD, write
from tests.unit.wire.test_addressbook_copy import COPY, NOW, SOCIAL


def configured(folder: Path) -> Path:
    table = '[address_book]\nurl = "https://addressbook.example"\nfile = "copy.json"\n'
    return write(folder, f"{GOOD}{table}")


def test_it_is_searched_and_its_age_is_shown(tmp_path: Path) -> None:
    config = configured(tmp_path)
    (tmp_path / "copy.json").write_bytes(COPY.to_bytes())
    ended = in_process("addressbook", "--config", config, "habo oros")
    first, headers, second = ended.output.splitlines()
    assert first.startswith("copied 2026-03-02 12:00Z, ")
    assert first.endswith("3 organisations, 3 functional addresses")
    assert headers.split() == ["ORGANISATION", "ADDRESS", "NAME", "PART"]
    assert second.split() == ["0203:habo.se", SOCIAL.identifier, "Socialkontoret", "-"]
    assert ended.status == 0
    found = in_process("addressbook", "--config", config, "--keyword", "lvu", "--json").document
    assert (found["taken_at"], [one["name"] for one in found["found"]]) == (
        NOW.isoformat(),
        ["Socialkontoret"],
    )
    assert found["age_seconds"] > 0
    bills = in_process("addressbook", "--config", config, "fakturor").output.splitlines()[2]
    assert bills.endswith("Fakturor  Habo Energi AB, part of Habo kommun")
    assert in_process("addressbook", "--config", config, "--organisation", "0203:eda.se").status == 1


def test_what_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    for make, words in (
        (configured, "no copy"),
        (lambda folder: write(folder, GOOD), "names no address book"),
    ):
        ended = in_process("addressbook", "--config", make(tmp_path))
        assert (ended.status, ended.output, ended.complaints.count("\n")) == (2, "", 1)
        assert words in ended.complaints
