"""A driver for :mod:`tests.interop.saml.idp`, which runs in the environment that has pysaml2."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from samdrift.bootstrap.environment import Environment
from samdrift.bootstrap.installed import python_of
from tests.interop.as4.driver import pem, pem_key
from tests.pki import Certified
from tests.programs import found

_HERE = Path(__file__).parent
_FOLDER = _HERE.parents[2] / ".venv-saml"


class Idp:
    """A running service that knows our metadata."""

    def __init__(self, owner: Certified, metadata: str, encrypt_for: str, **settings: Any) -> None:
        Environment(_FOLDER, _HERE / "requirements.lock").ensure()
        self._process = subprocess.Popen(
            [python_of(str(_FOLDER)), "-W", "ignore", str(_HERE / "idp.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.metadata = self._told(
            {
                "xmlsec1": found("xmlsec1"),
                "key": pem_key(owner),
                "certificate": pem(owner),
                "metadata": metadata,
                "encrypt_for": encrypt_for,
                **settings,
            }
        )

    def otherwise(self, **changed: Any) -> None:
        """Set deviations for all further responses; anything not given is as it should be."""
        self._told(changed)

    def close(self) -> None:
        """Stop the service."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()

    def _told(self, what: dict[str, Any]) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the service ended"
        return line.strip()
