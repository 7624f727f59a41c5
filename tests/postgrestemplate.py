"""One ``initdb`` for a run of the tests: embedded PostgreSQL servers start from copies of its result.

They do not wait for the disk, since a test only kills processes, and the kernel has every write of theirs.
So databases of organisations are copied file by file, which is less work. They also do not check the
bodies of functions when a vault is created: tests/unit/vault/database/test_functions.py checks them all.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from samdrift.keystore.durablefiles import let_through
from samdrift.vault import databases
from samdrift.vault.database import postgres
from samdrift.vault.database.postgres import EmbeddedPostgres, programs_folder

_initialise = EmbeddedPostgres._initialise
_configuration = postgres._CONFIGURATION
_HASTY = {"fsync": "off", "full_page_writes": "off", "check_function_bodies": "off"}


@contextmanager
def copied() -> Iterator[None]:
    """Start new servers from a copied data folder, and set the administrator's password in the copy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmbeddedPostgres, "_initialise", _copy)
        patch.setattr(postgres, "_CONFIGURATION", _configuration | _HASTY)
        patch.setattr(databases, "COPY", f"{databases.COPY} STRATEGY file_copy")
        yield


@contextmanager
def made_each_time() -> Iterator[None]:
    """Create data folders, and keep data durable, as in the product."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmbeddedPostgres, "_initialise", _initialise)
        patch.setattr(postgres, "_CONFIGURATION", _configuration)
        yield


def _copy(server: EmbeddedPostgres) -> None:
    draft = server._folder / "data.draft"
    shutil.rmtree(draft, ignore_errors=True)
    # cp keeps the owner: the server's own user if root runs the tests.
    subprocess.run(["cp", "-a", "--reflink=auto", _template(), draft], check=True)
    statement = f"ALTER ROLE postgres PASSWORD '{server._password()}'\n"
    user, group = (None, None) if server._user is None else (server._user.pw_uid, server._user.pw_gid)
    if user is not None:
        let_through(draft)
    subprocess.run(
        [
            *(programs_folder() / "postgres", "--single", "-F", "-c", "scram_iterations=1"),
            "-D",
            draft,
            "postgres",
        ],
        input=statement.encode(),
        capture_output=True,
        user=user,
        group=group,
        extra_groups=None if user is None else [],
        cwd="/",
        check=True,
    )
    draft.rename(server._data)


def _template() -> Path:
    """Return the folder to copy, which the first worker that needs it creates in the folder of the run."""
    folder = Path(tempfile.gettempdir()) / "postgres-template"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "data").exists():
            _initialise(EmbeddedPostgres(folder, lambda: "replaced in every copy"))
    return folder / "data"
