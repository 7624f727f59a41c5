"""All faults of a file in one pass, each with its line; names of the version before."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from samdrift.config.reader import examine, load
from samdrift.config.toml import ConfigError, Findings
from tests.unit.cli.commandline import Ended, in_process
from tests.unit.config.test_hsm import LIBRARY, TOKEN
from tests.unit.config.test_reader import GOOD, REAL, write


def faults(folder: Path, text: str) -> list[tuple[str, str]]:
    """Return, for each fault, the text of its line (its table's, if the key is missing) and its place."""
    lines = text.split("\n")
    _, found = examine(write(folder, text))
    return [(lines[each.line - 1] if each.line else "", each.where) for each in found.faults]


def line(text: str, containing: str) -> int:
    (number,) = [number for number, each in enumerate(text.split("\n"), 1) if containing in each]
    return number


WRONG = (
    REAL.replace("sml_zone =", "sml_zon =")
    .replace("lease_seconds = 20", "lease_seconds = 0")
    .replace("[vaults]", "private_addresses = true\n[vaults]")
    .replace('passphrase_file = "passphrase"', "")
    .replace('roles = ["ap", "mt"]', 'roles = ["mb"]')
    .replace('scanner = "clamd"\nsocket = "clamd.sock"', 'scanner = "none"')
)


def test_all_faults_of_a_file_are_found_in_one_pass_each_with_its_line(tmp_path: Path) -> None:
    """Single keys come first, in the order of the file, then conflicts between keys, with invariant 12."""
    assert faults(tmp_path, WRONG) == [
        ("[federation]", "federation.sml_zone"),
        ('sml_zon = "sml.example"', "federation.sml_zon"),
        ("lease_seconds = 0", "access_point.lease_seconds"),
        ('roles = ["mb"]', "organisations[0].roles"),
        ("private_addresses = true", "federation.private_addresses"),
        ("[vaults]", "vaults.passphrase_file"),
        ('scanner = "none"', "malware.scanner"),
    ]


def test_who_loads_such_a_file_gets_the_first_fault_and_all_others_with_it(tmp_path: Path) -> None:
    file = write(tmp_path, WRONG)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert len(caught.value.faults) == 7
    number = line(WRONG, "[federation]")
    assert str(caught.value) == (
        f"federation.sml_zone: is missing (line {number}; and 6 more, see samdrift config check {file})"
    )


def test_a_syntax_error_is_reported_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is not TOML: .*line 2") as caught:
        examine(write(tmp_path, f"wrong = 1\nwrong\n{GOOD}"))
    assert len(caught.value.faults) == 1


def test_a_folder_and_what_is_no_text_are_named_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read: is a directory$"):
        examine(tmp_path)
    (tmp_path / "text").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"is not UTF-8$"):
        examine(tmp_path / "text")


def test_a_value_that_is_none_of_those_that_there_are_is_named(tmp_path: Path) -> None:
    _, found = examine(write(tmp_path, GOOD.replace('roles = ["ap", "mt"]', 'roles = ["ap", "mb"]')))
    assert [each.text for each in found.faults] == ["'mb' is not one of ap, mt, mk, gov"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("sml_zone =", "smlzone ="), "is not a setting; did you mean sml_zone?"),
        (("retry_seconds = 7", "retry_secs = 7"), "is not a setting; did you mean retry_seconds?"),
        (
            ("functional_addresses", "functional_adresses"),
            "is not a setting; did you mean functional_addresses?",
        ),
        (("[malware]", "[malwares]"), "is not a setting; did you mean malware?"),
        (("retry_seconds = 7", "colour = 7"), "is not a setting"),
        (("retry_seconds = 7", '"" = 7'), "is not a setting"),
    ],
)
def test_a_misspelt_key_is_met_with_the_one_that_was_meant(
    tmp_path: Path, change: tuple[str, str], text: str
) -> None:
    _, found = examine(write(tmp_path, GOOD.replace(*change)))
    assert text in [each.text for each in found.faults]


def test_a_rule_that_needs_a_faulty_value_is_not_decided_and_the_others_are(tmp_path: Path) -> None:
    """A faulty passphrase is not reported as missing too; a faulty party does not hide rules about tokens."""
    both = 'passphrase_file = 1\npassphrase_credential = "../x"'
    text = GOOD.replace('passphrase_file = "passphrase"', both).replace('"AP0001-SDK-TEST"', "1") + TOKEN
    assert [where for _, where in faults(tmp_path, text)] == [
        "vaults.passphrase_file",
        "vaults.passphrase_credential",
        "access_point.party",
        "vaults.hsm",
    ]


def test_faults_of_one_organisation_hide_none_of_another(tmp_path: Path) -> None:
    other = '\n[[organisations]]\nidentifier = "x"\nname = "X"\nroles = ["mt"]\n'
    text = (
        GOOD.replace('name = "Håbo kommun"', "name = 1")
        + other
        + '[organisations.domibus]\nurl = "http://x"\n'
    )
    assert [where for _, where in faults(tmp_path, text)] == [
        "organisations[0].name",
        "organisations[1].identifier",
        "organisations[1].domibus.party",
        "organisations[1].domibus.message_id_domain",
        "organisations[1].domibus.url",
    ]


@pytest.mark.parametrize("text", ["organisations = 1", "organisations = [1]", "vaults = 1", "malware = []"])
def test_what_is_no_table_is_a_fault(tmp_path: Path, text: str) -> None:
    found = faults(tmp_path, f"{text}\n")
    assert (text, text.partition(" ")[0]) in [(at, where.partition("[")[0]) for at, where in found]


def test_the_line_of_what_is_not_there_is_that_of_its_table_whatever_keys_are_called() -> None:
    found = Findings({"a": 1, "a[0]": 2, "a[0].b": 3})
    wheres = ("a[0].b.c.d", "a[0].c", "a[1].b", "ab", "a]b", "x]", "")
    assert [found.line(where) for where in wheres] == [3, 2, 1, None, None, None, None]


FORMER = (GOOD + TOKEN + LIBRARY).replace(".hsm]", ".token]").replace("vaults.token]", "vaults.tokens]")


def test_names_of_the_version_before_work_with_a_warning_of_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = load(write(tmp_path, GOOD + TOKEN + LIBRARY))
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        assert load(write(tmp_path, FORMER)) == now
    assert [each.getMessage() for each in caplog.records] == [
        f"{tmp_path}/samdrift.toml: {where}: is called hsm now; the former name works in this version only "
        f"(line {line(FORMER, f'[{at}]')})"
        for at, where in (
            ("vaults.tokens", "vaults.tokens"),
            ("organisations.token", "organisations[0].token"),
        )
    ]


def test_a_key_under_both_names_is_a_fault(tmp_path: Path) -> None:
    text = GOOD + LIBRARY + LIBRARY.replace("hsm", "tokens")
    assert [where for _, where in faults(tmp_path, text)] == ["vaults.tokens"]


def check(*files: Path) -> Ended:
    return in_process("config", "check", *files)


def test_the_command_lists_all_faults_and_no_value(tmp_path: Path) -> None:
    text = GOOD.replace("lease_seconds = 20", 'password = "secret"\nattempts = "secret"')
    ended = check(file := write(tmp_path, text))
    assert (ended.status, ended.complaints) == (1, "")
    assert ended.output.splitlines() == [
        f"{file}:{line(text, 'password =')}: access_point.password: is not a setting",
        f"{file}:{line(text, 'attempts')}: access_point.attempts: is not a whole number from 0",
        f"{file}: 2 faults",
    ]


def test_the_command_ends_well_where_there_is_no_fault_and_warns_of_former_names(tmp_path: Path) -> None:
    ended = check(file := write(tmp_path, FORMER))
    *warnings, last = ended.output.splitlines()
    assert (ended.status, last) == (0, f"{file}: no fault")
    assert [each.partition(": ")[2].partition(": is")[0] for each in warnings] == [
        "warning: vaults.tokens",
        "warning: organisations[0].token",
    ]


def test_the_command_goes_on_with_the_next_file(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    good, broken = write(tmp_path, GOOD), write(tmp_path / "other", "x")
    ended = check(tmp_path / "none.toml", broken, good)
    assert ended.status == 1
    none, one, toml, _, last = ended.output.splitlines()
    assert one == f"{tmp_path}/none.toml: 1 fault"
    assert none == f"{tmp_path}/none.toml: there is no such file"
    assert toml.startswith(f"{broken}: is not TOML: ")
    assert last == f"{good}: no fault"


def test_the_command_compares_files_that_are_to_run_beside_each_other(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    ended = check(write(tmp_path, GOOD), write(tmp_path / "copy", GOOD))
    assert ended.status == 1
    assert len(ended.output.splitlines()) == 3
