"""Files that several workers of an organisation read: each has its own copy, which it cannot change."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.processes.preparation import Handovers
from samdrift.processes.users import Users
from samdrift.processes.worker import narrowed
from tests.secretfiles import secret_file
from tests.unit.config.test_reader import FOUR, PAGES, write

FIRST = 330_000
LOG_SYSTEM = f"""
[organisations.log_system]
address = "logs.habo.se:6514"
certificate = "habo.pem"
key_file = "habo.key"

[isolation]
level = "process"
first_user = {FIRST}
"""
MAIL = """[mail]
host = "mail.habo.test"
sender = "samdrift@habo.test"
user = "samdrift"
password_file = "smtp-password"

"""
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to others")


def test_each_worker_reads_its_own_copy_of_the_key_for_the_log_system(tmp_path: Path) -> None:
    config = load(write(tmp_path, FOUR + LOG_SYSTEM))
    (own,) = config.organisations
    assert own.log_system is not None
    for name in ("habo.pem", "habo.key"):
        (tmp_path / name).write_text(f"of {name}")
        (tmp_path / name).chmod(0o600)
    users = Users(config.isolation, cast(Any, SimpleNamespace(secrets=tmp_path, objects=tmp_path)))
    folder = tmp_path / "sockets"
    folder.mkdir()
    none = cast(Any, None)
    handovers = Handovers(config, lambda: config.organisations, none, none, folder, users, none)
    copies = set()
    for number, role in enumerate(Role, start=1):
        vault = tmp_path / f"vault{number}"
        (vault / "0001").mkdir(parents=True)
        user = users.of_vault(vault.name, access_point=role is Role.ACCESS_POINT)
        assert user is not None
        worker = f"worker{number}"
        registration = SimpleNamespace(organisation=own.identifier, role=role)
        for _ in range(2):  # as for a start and a restart
            handovers._give_files(worker, cast(Any, registration), user)
        handed = SimpleNamespace(organisation=own.identifier.value, name=worker)
        (mine,) = narrowed(config, cast(Any, handed)).organisations
        assert mine.log_system is not None
        assert mine.log_system.key_file is not None
        for file, content in ((mine.log_system.certificate, "pem"), (mine.log_system.key_file, "key")):
            state, above = file.stat(), file.parent.stat()
            assert file.read_text() == f"of habo.{content}"
            assert (state.st_uid, state.st_mode & 0o777) == (user.user, 0o600)
            assert (above.st_uid, above.st_mode & 0o777) == (0, 0o710)
            copies.add(file)
    assert len(copies) == 2 * len(Role)
    for name in ("habo.pem", "habo.key"):
        assert (tmp_path / name).stat().st_uid == 0


def test_secrets_for_services_are_read_by_their_workers_and_by_nobody_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The secrets for the sign-in service and the mail server need only be readable for root."""
    text = PAGES.replace("[[organisations]]", MAIL + "[[organisations]]", 1)
    config = load(write(tmp_path, text + f'[isolation]\nlevel = "process"\nfirst_user = {FIRST}\n'))
    (own,) = config.organisations
    for name in ("secret", "smtp-password"):
        secret_file(tmp_path / name, f"of {name}")
    users = Users(config.isolation, cast(Any, SimpleNamespace(secrets=tmp_path, objects=tmp_path)))
    folder = tmp_path / "sockets"
    folder.mkdir()
    none = cast(Any, None)
    handovers = Handovers(config, lambda: config.organisations, none, none, folder, users, none)
    (tmp_path / "vault" / "0001").mkdir(parents=True)
    user = users.of_vault("vault", access_point=False)
    registration = cast(Any, SimpleNamespace(organisation=own.identifier, role=Role.MESSAGE_CLIENT))
    handovers._prepare_files("worker", registration, (Role.MESSAGE_CLIENT,), user)
    handed = SimpleNamespace(organisation=own.identifier.value, name="worker")
    mine = narrowed(config, cast(Any, handed))
    assert user is not None
    assert mine.mail is not None
    assert mine.organisations[0].sign_in is not None
    for file, name in (
        (mine.organisations[0].sign_in.secret_file, "secret"),
        (mine.mail.password_file, "smtp-password"),
    ):
        assert file is not None
        assert file.read_text() == f"of {name}"
        assert (file.stat().st_uid, file.stat().st_mode & 0o777) == (user.user, 0o600)
    (tmp_path / "secret").chmod(0o644)
    handovers._prepare_files("another", registration, (Role.MESSAGE_CLIENT,), user)
    assert "supervisor: secret: users other than its owner can read or write it: chmod 600" in caplog.messages
    another = narrowed(config, cast(Any, SimpleNamespace(organisation=own.identifier.value, name="another")))
    assert another.organisations[0].sign_in is not None
    assert another.organisations[0].sign_in.secret_file is not None
    assert not another.organisations[0].sign_in.secret_file.exists()
