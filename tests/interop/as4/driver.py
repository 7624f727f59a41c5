"""A driver for :mod:`tests.interop.as4.peer`, which runs in the environment that has the package."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from samdrift.bootstrap.environment import Environment
from samdrift.bootstrap.installed import python_of
from tests.pki import Certified

_HERE = Path(__file__).parent
_FOLDER = _HERE.parents[2] / ".venv-as4"


class As4Package:
    """A running peer; ``own`` is its identity, ``other`` the one that it trusts."""

    def __init__(self, own: Certified, own_name: str, other: Certified, other_name: str) -> None:
        Environment(_FOLDER, _HERE / "requirements.lock").ensure()
        self._process = subprocess.Popen(
            [python_of(str(_FOLDER)), str(_HERE / "peer.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._write(
            name=own_name,
            key=pem_key(own),
            certificate=pem(own),
            other=other_name,
            other_certificate=pem(other),
        )

    def call(self, call: str, **arguments: str | bytes) -> dict[str, Any]:
        """Call one of the peer's methods; bytes are passed and returned in base64."""
        encoded = {key: _encoded(value) for key, value in arguments.items()}
        self._write(call=call, **encoded)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the peer ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Stop the peer."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _write(self, **request: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()


def decoded(value: str) -> bytes:
    return base64.b64decode(value)


def _encoded(value: str | bytes) -> str:
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value


def pem(identity: Certified) -> str:
    return identity.certificate.public_bytes(Encoding.PEM).decode("ascii")


def pem_key(identity: Certified) -> str:
    return identity.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(
        "ascii"
    )
