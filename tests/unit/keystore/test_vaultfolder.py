"""The numbered folders of a vault, in which its own Unix user may put anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from samdrift.keystore.vaultfolder import SECRET, current, writing


@pytest.fixture
def vaults(tmp_path: Path) -> tuple[Path, Path]:
    """Return two vaults, of which the first has its second number."""
    mine, other = tmp_path / "mine", tmp_path / "other"
    for folder in (mine / "0002", other / "0001"):
        folder.mkdir(parents=True)
        (folder / SECRET).write_bytes(b"a secret")
    return mine, other


def test_a_link_to_another_vault_is_not_what_counts(vaults: tuple[Path, Path]) -> None:
    mine, other = vaults
    (mine / "0003").symlink_to(other / "0001")
    assert current(mine) == mine / "0002"


@pytest.mark.parametrize("name", ["0001", "0003"])
def test_tidying_up_removes_nothing_of_another_vault_over_a_link(
    vaults: tuple[Path, Path], name: str
) -> None:
    mine, other = vaults
    (mine / name).symlink_to(other / "0001")
    with writing(mine):
        assert [folder.name for folder in mine.iterdir()] == ["0002"]
    assert (other / "0001" / SECRET).read_bytes() == b"a secret"


def test_what_is_left_of_an_interrupted_change_is_removed(vaults: tuple[Path, Path]) -> None:
    mine, _ = vaults
    for name in ("0001", "draft"):
        (mine / name).mkdir()
        (mine / name / "key").write_bytes(b"x")
    (mine / "0001" / SECRET).write_bytes(b"x")
    with writing(mine):
        assert [folder.name for folder in mine.iterdir()] == ["0002"]
