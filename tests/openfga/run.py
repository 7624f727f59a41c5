"""Asks OpenFGA itself who can, may and could: ``python -m tests.openfga.run``, see docs/openfga.md."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from samdrift.rights import Subject
from samdrift.rights.openfgaview import context, model, scope_object, user
from tests.openfga.verdict import QUESTIONS, Engine, Ours, Verdict, answers, digest, drawn, given
from tests.openfga.worlds import Question, World
from tests.programs import found

SEED = 20261127
_HERE = Path(__file__).parent
_MODULE = "github.com/openfga/openfga"
_WRITES = 100
"""Most tuples of one request."""
_FILTERS: tuple[Mapping[str, str], ...] = (
    {"type": "person"},
    {"type": "system"},
    {"type": "claim", "relation": "bearer"},
)
_KINDS = ("who can",) * 3 + ("may",) * 3 + ("who could",)
"""What each answer is about."""


class Service:
    """OpenFGA's own engine with its store in memory, in a process that answers line by line."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def ask(self, method: str, request: Mapping[str, object]) -> Any:
        """Return a response; ``RuntimeError`` with what OpenFGA says where it refuses."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"method": method, "request": request}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{method}: OpenFGA has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['code']} {answer['error']}")
        return answer["response"]


class Store(Engine):
    """One world in OpenFGA."""

    def __init__(self, service: Service, world: World) -> None:
        self._service, self._world = service, world
        self._store = service.ask("CreateStore", {"name": "world"})["id"]
        made = service.ask("WriteAuthorizationModel", {"store_id": self._store, **model()})
        self._model = made["authorization_model_id"]
        tuples = world.tuples()
        for start in range(0, len(tuples), _WRITES):
            self._ask("Write", {"writes": {"tuple_keys": tuples[start : start + _WRITES]}})

    def can(self, question: Question, moment: datetime) -> set[str]:
        """Return everybody whom ListUsers names."""
        kind, _, name = scope_object(question.scope).partition(":")
        asked = {
            "object": {"type": kind, "id": name},
            "relation": question.right.value,
            "context": context(moment),
            "consistency": "HIGHER_CONSISTENCY",
        }
        return {
            _user(each)
            for wanted in _FILTERS
            for each in self._ask("ListUsers", {**asked, "user_filters": [wanted]}).get("users", ())
        }

    def may(self, question: Question, subject: Subject, moment: datetime) -> bool:
        """Return what Check says."""
        asked = {
            "user": user(subject),
            "relation": question.right.value,
            "object": scope_object(question.scope),
        }
        checked = {"tuple_key": asked, "context": context(moment), "consistency": "HIGHER_CONSISTENCY"}
        return bool(self._ask("Check", checked).get("allowed", False))

    def could(self, question: Question, first: datetime, last: datetime) -> set[str]:
        """Return everybody whom ListUsers names at the first moment, or where something begins."""
        moments = self._world.beginnings(first, last)
        return set[str]().union(*(self.can(question, moment) for moment in moments))

    def delete(self) -> None:
        """Remove it."""
        self._service.ask("DeleteStore", {"store_id": self._store})

    def _ask(self, method: str, request: Mapping[str, object]) -> Any:
        named = {"store_id": self._store, "authorization_model_id": self._model}
        return self._service.ask(method, {**named, **request})


def _user(found: Mapping[str, Any]) -> str:
    if "object" in found:
        return f"{found['object']['type']}:{found['object']['id']}"
    named = found["userset"]
    return f"{named['type']}:{named['id']}#{named['relation']}"


def compared(service: Service, seed: int, number: int, asked: Counter[str]) -> tuple[str, str]:
    """Return a digest of what OpenFGA is given and one of what it answers; print and count what differs."""
    world, questions = drawn(seed, number)
    store, ours, found = Store(service, world), Ours(world), list[object]()
    for question in questions:
        theirs = answers(store, question)
        for kind, listed, own in zip(_KINDS, theirs, answers(ours, question), strict=True):
            asked[kind] += 1
            asked["named"] += len(listed)
            if listed != own:
                asked["differences"] += 1
                print(f"world {number}: {kind} {question}: {listed} and ours {own}", flush=True)
        found.append(theirs)
    store.delete()
    return given(world, questions), digest(found)


def _built() -> Path:
    """Return the program, built if need be: Go knows what has changed since."""
    path = _HERE / "target" / "openfga"
    options = ("-mod=readonly", "-buildvcs=false", "-o", str(path))
    _printed(f"{found('go')}", "build", *options, ".")
    return path


def _printed(*command: str) -> str:
    made = subprocess.run(command, cwd=_HERE, check=True, capture_output=True, text=True)
    return made.stdout.strip()


def main() -> int:
    """Compare, print what was asked and what differs, maybe keep the verdict; status 1 for a difference."""
    parser = argparse.ArgumentParser(prog="python -m tests.openfga.run")
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--keep", action="store_true", help="write the verdict that the suite reads")
    options = parser.parse_args()
    path, asked = _built(), Counter[str]()
    worlds = -(-options.cases // QUESTIONS)
    with Service(path) as service:
        pairs = [compared(service, options.seed, number, asked) for number in range(worlds)]
    version = _printed(f"{found('go')}", "list", "-m", "-f", "{{.Version}}", _MODULE)
    commit = _printed("git", "rev-parse", "--short", "HEAD")
    verdict = Verdict(options.seed, version, commit, [each for each, _ in pairs], [each for _, each in pairs])
    if options.keep:
        verdict.write()
    print(
        f"seed {options.seed}, commit {commit}, openfga {version}: {worlds * QUESTIONS} cases,"
        f" {asked['who can']} times who can, {asked['may']} times whether five may,"
        f" {asked['who could']} times who could, {asked['named']} named, {asked['differences']} differences"
    )
    return 1 if asked["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
