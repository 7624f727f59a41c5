"""The set of running workers as keys come and go; each is a few lines of Python here."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.installation.health import Health
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.net.clock import system_clock
from samdrift.processes import supervisor
from samdrift.processes.child import Handed
from samdrift.processes.handover import Routes
from samdrift.processes.preparation import Handovers
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.registry import Registration, RegistrationState
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import until

SERVES = "import socket; channel = socket.socket(fileno=0); channel.send(b'serves\\n'); "
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
WAITS = "\nwhile channel.recv(1): pass"


class Scene:
    """A house without a front, whose vaults open with the keys in ``openings``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.openings: dict[str, bytes | None] = {}
        self.role = Role.ACCESS_POINT
        self.patch = monkeypatch
        self.runs(SERVES + WAITS)
        nonexistent = SimpleNamespace(
            front=lambda: None, nobody=lambda: None, of_vault=lambda *_, **named: None
        )
        beta = SimpleNamespace(identifier=ParticipantIdentifier("0203:beta.se"), roles=(Role.MESSAGE_CLIENT,))
        self.named = [beta]
        """Organisations that the configuration names now."""
        handovers = SimpleNamespace(
            users=nonexistent,
            opening=self.openings.get,
            to_worker=lambda *_: Handed(b""),
            to_front=lambda *_: Handed(b""),
            named=self.named,
        )
        config = SimpleNamespace(
            access_point=None,
            message_service=None,
            message_client=None,
            governance=None,
            metrics=None,
            vaults=SimpleNamespace(secrets=Path("secrets")),
        )
        gate = SimpleNamespace(registry=SimpleNamespace(all=self.hosted))
        readers = SimpleNamespace(renew=_nothing)
        health = Health(system_clock)
        self.house = supervisor._House(
            *cast(Any, (config, frozenset(Role), gate, handovers, readers, health))
        )

    def runs(self, script: str) -> None:
        self.patch.setattr(supervisor, "_COMMAND", (sys.executable, "-c", script))

    async def starts_front(self) -> None:
        """Start the front, and the process that answers for nonexistent organisations."""
        for child in (self.house._nobody, self.house._front):
            await supervisor.first_start(child)
            self.house._keeping[child] = asyncio.create_task(supervisor.keep(child))

    def hosted(self) -> list[Registration]:
        return [
            Registration(
                ParticipantIdentifier(f"0203:{vault}.se"),
                *(self.role, RegistrationState.ACTIVE, vault, "login", b"", "channel"),
            )
            for vault in self.openings
        ]

    def worker(self, vault: str) -> int | None:
        kept = self.house._workers.get(vault)
        process = kept.child._process if kept is not None and kept.tried.is_set() else None
        return process.pid if process is not None else None

    async def serves(self, vault: str) -> int:
        await self.house._update()
        await until(lambda: self.worker(vault) is not None)
        number = self.worker(vault)
        assert number is not None
        return number


@pytest_asyncio.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    scene = Scene(monkeypatch)
    yield scene
    for child in (*(kept.child for kept in scene.house._workers.values()), *scene.house._keeping):
        child.kill()
    scene.patch.setattr(scene.house, "_front", SimpleNamespace(stop=_nothing, user=None))
    await scene.house.stop()


async def _nothing(*_: object) -> None:
    pass


async def test_a_worker_goes_on_while_the_token_is_away_and_ends_with_what_opened_its_vault(
    scene: Scene,
) -> None:
    scene.openings["alfa"] = b"key and pin"
    number = await scene.serves("alfa")
    scene.openings["alfa"] = None
    await scene.house._update()
    assert await scene.serves("alfa") == number
    scene.openings["alfa"] = b"key and another pin"
    await scene.house._update()
    await until(lambda: scene.worker("alfa") is None)
    assert await scene.serves("alfa") != number
    scene.openings["alfa"] = b""
    await scene.house._update()
    await until(lambda: not scene.house._workers)
    await scene.house._update()
    assert not scene.house._workers


@pytest.mark.parametrize(
    ("role", "served"),
    [
        (Role.ACCESS_POINT, {"alfa", "beta"}),
        (Role.MESSAGE_SERVICE, set[str]()),
        (Role.MESSAGE_CLIENT, {"beta"}),
        (Role.GOVERNANCE, set[str]()),
    ],
)
async def test_a_worker_runs_for_a_role_that_the_configuration_names_for_its_organisation(
    scene: Scene, role: Role, served: set[str]
) -> None:
    """The access point needs no entry. An organisation with only a vault does not cost a process."""
    scene.role = role
    scene.openings |= {"alfa": b"key", "beta": b"key"}
    assert {one.vault for one in scene.house._hosted()} == served


async def test_an_organisation_that_the_configuration_has_gained_is_served_without_a_restart(
    scene: Scene,
) -> None:
    scene.role = Role.MESSAGE_SERVICE
    scene.openings["alfa"] = b"key"
    await scene.house._update()
    assert not scene.house._workers
    scene.named.append(
        SimpleNamespace(identifier=ParticipantIdentifier("0203:alfa.se"), roles=(Role.MESSAGE_SERVICE,))
    )
    await scene.serves("alfa")
    scene.named.pop()
    await scene.house._update()
    await until(lambda: not scene.house._workers)


def noting(file: Path) -> str:
    """Return a program that notes in ``file`` that it serves, and that it was asked to end."""
    return (
        f"import os, signal, sys; file = open({str(file)!r}, 'a', buffering=1)\n"
        "def end(*_):\n    file.write('ended\\n'); os._exit(0)\n"
        "signal.signal(signal.SIGTERM, end); file.write('serves\\n')\n"
    )


async def test_a_rolling_restart_starts_one_process_after_the_other_again(
    scene: Scene, tmp_path: Path
) -> None:
    file = tmp_path / "notes"
    scene.runs(noting(file) + SERVES + WAITS)
    scene.openings |= {"alfa": b"key", "beta": b"key"}
    await scene.starts_front()
    others = {child._process for child in scene.house._keeping}
    before = {await scene.serves(vault) for vault in scene.openings}
    await scene.house.roll()
    assert not before & {await scene.serves(vault) for vault in scene.openings}
    assert not others & {child._process for child in scene.house._keeping}
    assert file.read_text().split() == ["serves"] * 2 + ["ended", "serves"] * 2
    assert all(scene.house.serving().values())


async def test_a_rolling_restart_ends_at_the_first_that_does_not_serve_again(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.openings |= {"alfa": b"key", "beta": b"key"}
    await scene.starts_front()
    alfa, beta = await scene.serves("alfa"), await scene.serves("beta")
    scene.runs("raise SystemExit(2)")
    await scene.house.roll()
    assert (scene.worker("alfa") == alfa, scene.worker("beta")) == (False, beta)
    assert "ap of 0203:alfa.se: does not serve again; the rolling restart is aborted" in caplog.text


async def test_a_rolling_restart_leaves_alone_whoever_could_not_begin_again(scene: Scene) -> None:
    """Its organisation's token is away: a process with an open vault can go on, but no new one could."""
    scene.openings |= {"alfa": b"key", "beta": b"key"}
    await scene.starts_front()
    alfa, beta = await scene.serves("alfa"), await scene.serves("beta")
    scene.openings["alfa"] = None
    await scene.house.roll()
    assert scene.worker("alfa") == alfa
    assert await scene.serves("beta") != beta


async def test_one_that_does_not_end_keeps_nobody_else_waiting(scene: Scene) -> None:
    scene.runs(STUBBORN + SERVES + WAITS)
    scene.openings["alfa"] = b"key"
    number = await scene.serves("alfa")
    scene.openings |= {"alfa": b"", "beta": b"key"}
    scene.runs(SERVES + WAITS)
    await scene.serves("beta")
    assert scene.worker("alfa") == number
    os.kill(number, signal.SIGKILL)
    await until(lambda: scene.house._workers.keys() == {"beta"})


@pytest.mark.parametrize(
    ("fault", "told"), [(KeyFault.UNAVAILABLE, None), (KeyFault.LOCKED, b""), (KeyFault.MISSING, b"")]
)
def test_a_token_that_is_away_is_told_from_keys_that_are_not_there(
    fault: KeyFault, told: bytes | None
) -> None:
    def fails(vault: str) -> bytes:
        raise KeyStoreError(fault, "why")

    handovers = Handovers.__new__(Handovers)
    handovers._logged = {}
    handovers._keys = cast(
        Any, SimpleNamespace(locked=lambda _: False, has_data_key=lambda _: True, unlock_key=fails)
    )
    assert handovers.opening("alfa") == told


def test_a_new_pin_counts_as_a_new_key() -> None:
    """A process that was handed the former PIN cannot log in with it again."""
    pins = iter(["1", "2", "2"])
    handovers = Handovers.__new__(Handovers)
    handovers._keys = cast(
        Any,
        SimpleNamespace(
            locked=lambda _: False,
            has_data_key=lambda _: True,
            unlock_key=lambda _: b"key",
            pin=lambda _: next(pins),
        ),
    )
    first, second, third = (handovers.opening("alfa") for _ in range(3))
    assert first != second == third


async def test_a_supervisor_that_cannot_follow_changes_says_so_once_and_why(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """It looks each second, but an outage of an hour is two lines, not 3600.

    The database reports its own outage with a warning; any other fault gets its warning here.
    """
    faults: list[Exception] = [
        VaultUnavailable("connection refused at 192.0.2.1:5432"),
        VaultUnavailable("the database is starting at 192.0.2.1:5432"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "/where/keys/are"),
    ]

    def refresh() -> None:
        if faults:
            raise faults.pop(0)

    async def none() -> list[str]:
        return []

    scene.patch.setattr(scene.house._handovers, "refresh", refresh, raising=False)
    scene.patch.setattr(scene.house._gate, "without_reader", none, raising=False)
    scene.patch.setattr(scene.house, "_announce", lambda: None)
    caplog.set_level("INFO", "samdrift")
    for _ in range(5):
        scene.house._note_look(await scene.house._look())
    not_followed = "supervisor: changes of organisations, keys and certificates are not followed now: "
    again = "supervisor: changes of organisations, keys and certificates are followed again"
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("INFO", f"{not_followed}connection refused at 192.0.2.1:5432"),
        ("WARNING", f"{not_followed}no such file or directory"),
        ("WARNING", again),
    ]
    caplog.clear()
    faults.append(VaultUnavailable("connection refused at 192.0.2.1:5432"))
    for _ in range(3):
        scene.house._note_look(await scene.house._look())
    assert [each.levelname for each in caplog.records] == ["INFO", "INFO"]


async def test_the_front_hears_what_is_gone_also_while_keys_cannot_be_looked_at(scene: Scene) -> None:
    """The front answers /health, because the supervisor itself listens only to the operator's commands."""
    told = list[bytes]()

    def refresh() -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    for name, value in {"refresh": refresh, "alarms": 0}.items():
        scene.patch.setattr(scene.house._handovers, name, value, raising=False)
    scene.patch.setattr(scene.house, "_front", SimpleNamespace(tell=told.append, stop=_nothing, user=None))
    scene.house._health.note("key-store", "", "there is no such folder")
    assert await scene.house._look() == "no such file or directory"
    (condition,) = Routes.read(told[-1]).conditions
    assert (condition["dependency"], condition["reason"]) == ("key-store", "there is no such folder")
    number, elapsed = len(told), scene.house._health._elapsed
    scene.patch.setattr(scene.house._health, "_elapsed", lambda: elapsed() + 60)
    await scene.house._look()
    assert len(told) == number, "an outage that only lasts longer must not be reported again"
