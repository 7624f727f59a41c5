"""Installs missing packages before the command line runs; started by ``./samdrift``.

It runs before every command, in whatever Python the caller has, possibly before anything is installed. For
this reason it imports only ``os`` and ``sys``, and the rest of the standard library only to install
something.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence

from samdrift.bootstrap.installed import holds, python_of

_UNUSABLE = 2
_INTERRUPTED = 130


def launch(checkout: str, arguments: Sequence[str]) -> int:
    """Install what ``arguments`` need and become that command; return only if that fails."""
    testing = arguments[:1] == ["test"]
    building = arguments[:1] == ["build"]
    peers = testing and "--peers" in arguments
    needed = [_builder(checkout)] if building else _needed(checkout, testing=testing, peers=peers)
    missing = [pair for pair in needed if not holds(*pair)]
    status = _install(checkout, missing) if missing else 0
    if status:
        return status
    if building:
        python = python_of(_builder(checkout)[0])
        return os.execv(python, [python, os.path.join(checkout, "release", "build.py"), *arguments[1:]])
    python = python_of(_own(checkout))
    if testing:
        os.chdir(checkout)
        # Cache bytecode: the tests start many processes, each of which would compile every module again.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        return os.execv(python, [python, "-m", "pytest", *arguments[1:]])
    # -P keeps Python from importing modules from the caller's folder.
    return os.execv(python, [python, "-P", "-m", "samdrift.cli.main", *arguments])


def _own(checkout: str) -> str:
    return os.path.join(checkout, ".venv")


def _builder(checkout: str) -> tuple[str, str]:
    """Return environment and lock file of the release builder, which is not needed to run Samdrift."""
    return f"{_own(checkout)}-build", os.path.join(checkout, "release", "requirements.lock")


def _needed(checkout: str, *, testing: bool, peers: bool) -> Iterator[tuple[str, str]]:
    """Yield the environment's folder and the lock file, for each environment that the command needs.

    The tests use our own environment with further packages. The peers that they communicate with have their
    own environments, because they need other versions of packages; so does the release builder.
    """
    own = _own(checkout)
    yield own, os.path.join(checkout, "requirements.lock")
    if testing:
        yield own, os.path.join(checkout, "requirements-test.lock")
    if peers:
        from glob import glob

        for peer in sorted(glob(os.path.join(checkout, "tests", "interop", "*", "requirements.lock"))):
            yield f"{own}-{os.path.basename(os.path.dirname(peer))}", peer
        yield _builder(checkout)


def _install(checkout: str, missing: Sequence[tuple[str, str]]) -> int:
    from pathlib import Path

    from samdrift.bootstrap.environment import Environment, EnvironmentFailure

    try:
        for folder, lock in missing:
            own = folder == _own(checkout)
            Environment(Path(folder), Path(lock), Path(checkout, "src") if own else None).ensure()
    except EnvironmentFailure as failure:
        sys.stderr.write(f"samdrift: {failure}\n")
        return _UNUSABLE
    except KeyboardInterrupt:
        sys.stderr.write("\nsamdrift: interrupted, the next run starts over\n")
        return _INTERRUPTED
    return 0
