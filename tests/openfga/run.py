"""Asks OpenFGA itself who can and who could: ``python -m tests.openfga.run``, see docs/openfga.md."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from samdrift.rights.openfgaview import context, model, scope_object
from tests.openfga.worlds import Question, World

SEED = 20261127
VERSION = "v1.22.1"
QUESTIONS = 10
"""Cases of one world."""
_WRITES = 100
"""Most tuples of one request."""
_FILTERS: tuple[Mapping[str, str], ...] = (
    {"type": "person"},
    {"type": "system"},
    {"type": "claim", "relation": "bearer"},
)


class Server:
    """A running OpenFGA."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Return an answer; ``RuntimeError`` with what the server says where it is not a good one."""
        content = None if body is None else json.dumps(body)
        self._connection.request(method, path, content, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        read = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {read.decode(errors='replace')}")
        return json.loads(read) if read else None

    def ready(self) -> bool:
        """Return whether it answers."""
        try:
            return self.ask("GET", "/healthz")["status"] == "SERVING"
        except (OSError, http.client.HTTPException, RuntimeError):
            self._connection.close()
            return False


class Store:
    """One world in a server."""

    def __init__(self, server: Server, world: World) -> None:
        self._server = server
        self._path = f"/stores/{server.ask('POST', '/stores', {'name': 'world'})['id']}"
        made = server.ask("POST", f"{self._path}/authorization-models", model())
        self._model = made["authorization_model_id"]
        tuples = world.tuples()
        for start in range(0, len(tuples), _WRITES):
            writes = {"tuple_keys": tuples[start : start + _WRITES]}
            self._post("write", {"writes": writes})

    def list_users(self, question: Question, moment: datetime) -> set[str]:
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
            for each in self._post("list-users", {**asked, "user_filters": [wanted]})["users"]
        }

    def delete(self) -> None:
        """Remove it."""
        self._server.ask("DELETE", self._path)

    def _post(self, path: str, body: Mapping[str, object]) -> Any:
        return self._server.ask(
            "POST", f"{self._path}/{path}", {**body, "authorization_model_id": self._model}
        )


def _user(found: Mapping[str, Any]) -> str:
    if "object" in found:
        return f"{found['object']['type']}:{found['object']['id']}"
    named = found["userset"]
    return f"{named['type']}:{named['id']}#{named['relation']}"


def compare(store: Store, world: World, question: Question, asked: Counter[str]) -> Iterator[str]:
    """Yield the differences of one case: on its three dates, and from the first to the last of them."""
    for moment in question.moments:
        asked["who can"] += 1
        listed = store.list_users(question, moment)
        asked["named"] += len(listed)
        reported = world.reported(question, moment, moment)
        if listed != reported:
            yield f"who can {question} at {moment}: {sorted(listed)} and ours {sorted(reported)}"
    first, *_, last = question.moments
    asked["who could"] += 1
    each = (store.list_users(question, moment) for moment in world.beginnings(first, last))
    listed, reported = set[str]().union(*each), world.reported(question, first, last)
    if listed != reported:
        yield f"who could {question}: {sorted(listed)} and ours {sorted(reported)}"


@contextlib.contextmanager
def running(program: str) -> Iterator[Server]:
    """Run a server that keeps everything in its memory, and stop it."""
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    options = ("--datastore-engine", "memory", "--playground-enabled=false", "--log-level", "error")
    addresses = ("--http-addr", f"127.0.0.1:{ports[0]}", "--grpc-addr", f"127.0.0.1:{ports[1]}")
    with subprocess.Popen([program, "run", *options, *addresses, "--metrics-enabled=false"]) as process:
        try:
            server = Server(ports[0])
            while not server.ready():
                if process.poll() is not None:
                    raise RuntimeError("openfga has ended")
                time.sleep(0.1)
            yield server
        finally:
            process.terminate()


def main() -> int:
    """Compare, print what was asked and what differs; exit status 1 where something does."""
    parser = argparse.ArgumentParser(prog="python -m tests.openfga.run")
    parser.add_argument("--program", default="openfga", help="the server's program")
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    asked, differences = Counter[str](), 0
    with running(given.program) as server:
        for number in range(-(-given.cases // QUESTIONS)):
            world = World(f"{given.seed} {number}")
            store = Store(server, world)
            for question in world.questions(QUESTIONS):
                for each in compare(store, world, question, asked):
                    differences += 1
                    print(f"world {number}: {each}", flush=True)
            store.delete()
    cases = -(-given.cases // QUESTIONS) * QUESTIONS
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=Path(__file__).parent,
        check=True,
        capture_output=True,
        text=True,
    )
    print(
        f"seed {given.seed}, commit {commit.stdout.strip()}, openfga {VERSION}: {cases} cases,"
        f" {asked['who can']} times who can, {asked['who could']} times who could,"
        f" {asked['named']} named, {differences} differences"
    )
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
