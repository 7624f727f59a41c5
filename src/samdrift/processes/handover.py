"""The hand-over from the supervisor to a process as it starts: one line, and the sockets that it is to
serve.
"""

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
"""The catch-all worker: it answers requests that belong to no organisation here."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Resource limits of one process."""

    memory: int
    """Bytes that it may write to."""
    open_files: int
    processes: int | None = None
    """Most processes of its Unix user, threads included; unlimited where it shares its user with others."""


@dataclass(frozen=True, slots=True)
class Routes:
    """Names of the workers, by role and organisation."""

    workers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Workers' names by role and participant identifier."""
    alarms: int = 0
    """Vaults below whose folder of keys something was planted."""
    conditions: Sequence[Mapping[str, str | int | None]] = ()
    """Dependencies as the supervisor finds them, for the front to publish."""

    @classmethod
    def read(cls, line: bytes) -> Self:
        return cls(**json.loads(line))

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    def of(self, role: Role) -> Mapping[str, str]:
        """The workers in a role, by participant identifier."""
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
    """A worker's start parameters, with secrets: its own vault's, and the access point's in its worker."""

    name: str
    config: Path
    roles: tuple[Role, ...]
    doors: tuple[Door, ...]
    """The listeners of the sockets, in their order."""
    limits: Limits
    organisation: str | None
    vault: str | None
    keys: Mapping[str, bytes] = field(repr=False)
    """The key that opens each of its vaults; the operator's own keys are in one too."""
    pin: str | None = field(repr=False)
    """PIN of the organisation's HSM slot; ``None`` where its keys are in software."""
    database: str = field(repr=False)
    reader: ReaderLogin
    claimant: str
    """Its name in claims, for this start."""
    ended: tuple[str, ...]
    """Processes before it that may have left claims in its vault."""

    @property
    def kind(self) -> str:
        """Return the kind of process, for metrics and log."""
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
    """Read the fields that both kinds have."""
    document: dict[str, Any] = json.loads(line)
    document["config"] = Path(document["config"])
    document["doors"] = tuple(map(Door, document["doors"]))
    document["limits"] = Limits(**document["limits"])
    return document


def place_of(folder: Path, worker: str, door: Door) -> Path:
    """Return the socket of a worker."""
    return folder / f"{worker}.{door.value}"


def certificate_files(folder: Path) -> Iterator[Path]:
    """Yield the paths of the server's certificates, the newest first; a missing file ends the list."""
    return (folder / f"tls-server-{number}.pem" for number in itertools.count())


def copy_folder(file: Path, worker: str) -> Path:
    """Return the folder of a worker's own copy of a file; beside the one that is configured."""
    return file.with_name(f"{file.name}.d") / worker
