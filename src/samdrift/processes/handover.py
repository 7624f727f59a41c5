"""The handover from the supervisor to a process when it starts: one line, and the sockets to serve."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from samdrift.contracts.principals import Role
from samdrift.installation.doors import Door

FRONT = "front"
NOBODY = "nobody"
"""Name of the catch-all worker, which answers requests that belong to no organisation here."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Resource limits of one process."""

    memory: int
    """Maximum number of bytes of writable memory."""
    open_files: int
    processes: int | None = None
    """Maximum number of processes of its Unix user, threads included; ``None`` where that user is shared."""


@dataclass(frozen=True, slots=True)
class Routes:
    """The workers that requests are forwarded to, with the state that the front publishes."""

    workers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Names of the workers, by role and participant identifier."""
    alarms: int = 0
    """Number of vaults whose key folders have been tampered with."""
    conditions: Sequence[Mapping[str, str | int | None]] = ()
    """The state of dependencies as the supervisor finds it, for the front to publish."""

    @classmethod
    def read(cls, line: bytes) -> Self:
        return cls(**json.loads(line))

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    def of(self, role: Role) -> Mapping[str, str]:
        """Return the names of the workers in a role, by participant identifier."""
        return self.workers.get(role.value, {})


@dataclass(frozen=True, slots=True)
class ReaderLogin:
    """A worker's own login to the registry."""

    name: str
    password: str = field(repr=False)

    @classmethod
    def read(cls, line: bytes) -> Self:
        return cls(**json.loads(line))

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode()


@dataclass(frozen=True, slots=True)
class WorkerHandOver:
    """A worker's start parameters, including its vault's secrets and, for an access point, the operator's."""

    name: str
    config: Path
    roles: tuple[Role, ...]
    doors: tuple[Door, ...]
    """The listeners that the sockets are for, in the same order."""
    limits: Limits
    organisation: str | None
    vault: str | None
    keys: Mapping[str, bytes] = field(repr=False)
    """The key that opens each vault; the operator's own keys are kept in a vault of their own."""
    pin: str | None = field(repr=False)
    """PIN of the organisation's HSM slot; ``None`` where its keys are in software."""
    database: str = field(repr=False)
    reader: ReaderLogin
    claimant: str
    """Name under which this start of the worker makes claims."""
    ended: tuple[str, ...]
    """Names of earlier processes that may have left claims in the vault."""

    @property
    def kind(self) -> str:
        """Return the kind of process, for metrics and the log."""
        return NOBODY if self.vault is None else self.roles[0].value

    def line(self) -> bytes:
        document = asdict(self)
        document["config"] = str(self.config)
        document["keys"] = {vault: key.hex() for vault, key in self.keys.items()}
        return json.dumps(document).encode()

    @classmethod
    def read(cls, line: bytes) -> Self:
        document = _read(line)
        document["roles"] = tuple(map(Role, document["roles"]))
        document["keys"] = {vault: bytes.fromhex(key) for vault, key in document["keys"].items()}
        document["reader"] = ReaderLogin(**document["reader"])
        document["ended"] = tuple(document["ended"])
        return cls(**document)


@dataclass(frozen=True, slots=True)
class FrontHandOver:
    """The front's start parameters."""

    config: Path
    doors: tuple[Door, ...]
    limits: Limits
    folder: Path
    """Folder of the workers' sockets and the server's certificates and keys; only the front reads it."""
    routes: Routes
    password: str = field(repr=False)
    kind: str = field(default=FRONT, init=False)
    organisation: None = field(default=None, init=False)

    def line(self) -> bytes:
        document = asdict(self)
        del document["kind"], document["organisation"]
        for name in ("config", "folder"):
            document[name] = str(document[name])
        return json.dumps(document).encode()

    @classmethod
    def read(cls, line: bytes) -> Self:
        document = _read(line)
        document["routes"] = Routes(**document["routes"])
        document["folder"] = Path(document["folder"])
        return cls(**document)


def _read(line: bytes) -> dict[str, Any]:
    """Read the fields that both kinds of handover have."""
    document: dict[str, Any] = json.loads(line)
    document["config"] = Path(document["config"])
    document["doors"] = tuple(map(Door, document["doors"]))
    document["limits"] = Limits(**document["limits"])
    return document


def place_of(folder: Path, worker: str, door: Door) -> Path:
    """Return the path of a worker's socket."""
    return folder / f"{worker}.{door.value}"


def certificate_files(folder: Path) -> Iterator[Path]:
    """Yield the paths of the server's certificates, the newest first; a missing file ends the list."""
    return (folder / f"tls-server-{number}.pem" for number in itertools.count())


def copy_folder(file: Path, worker: str) -> Path:
    """Return the folder of a worker's own copy of a file, which is next to the configured file."""
    return file.with_name(f"{file.name}.d") / worker
