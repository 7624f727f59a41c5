"""`samdrift log follow` and `promises`: checks by an organisation that need no trust in the operator."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.audit.ages import CADENCE, MAX_AGE, fault_of_age, spelled
from samdrift.audit.policies import Policy
from samdrift.audit.promises import HEADER, MAX_PROMISE, Once, Promise, Verdict, judge
from samdrift.audit.reading import Malformed, Unverified
from samdrift.cli.clientconfig import ClientConfig, load_client, tokens_for
from samdrift.cli.logverification import MaxAge
from samdrift.cli.org.options import AsJson
from samdrift.cli.output import print_json, print_line, print_verdict
from samdrift.client.tokens import Bearing
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.contracts.messageclients import Scope
from samdrift.installation.logkeeping import read_policy
from samdrift.installation.loop import run
from samdrift.net.addresses import any_address
from samdrift.net.client import http_client
from samdrift.net.entered import EnteredAddressClient
from samdrift.net.tls import TlsIdentity, client_tls
from samdrift.transparency.asking import Caller
from samdrift.transparency.following import (
    Followed,
    LogAddress,
    LogContradicted,
    LogCopy,
    LogUnreachable,
    LogUnreadable,
    look_back,
)
from samdrift.transparency.following import (
    follow as bring_up_to_date,
)

Copy = Annotated[Path, typer.Argument(metavar="COPY", help="The verified copy: a file on your machine.")]
PolicyFile = Annotated[
    Path, typer.Option("--policy", help="Your policy (c2sp.org/tlog-policy): log, witnesses, quorum.")
]
Certificate = Annotated[
    Path | None, typer.Option("--certificate", help="Your client certificate of interface C (PEM).")
]
PrivateKey = Annotated[
    Path | None, typer.Option("--key", help="Its private key (PEM), if that is in another file.")
]
Issuers = Annotated[
    Path | None, typer.Option("--issuers", help="Issuers of the server's certificate; otherwise Mozilla's.")
]
ClientFile = Annotated[
    Path | None,
    typer.Option("--client", help="Configuration of your message client, whose access token opens the log."),
]
Every = Annotated[
    int | None, typer.Option("--every", min=1, help="Seconds between two rounds; otherwise one round alone.")
]
Cadence = Annotated[
    int, typer.Option("--cadence", min=1, help="Seconds within which an entry has to be in a checkpoint.")
]


def follow(
    address: Annotated[
        str, typer.Argument(help="Address of the log: /c/v1/logs/ROLE, or with --client /v1/logs/ROLE.")
    ],
    copy: Copy,
    policy: PolicyFile,
    certificate: Certificate = None,
    key: PrivateKey = None,
    issuers: Issuers = None,
    client: ClientFile = None,
    every: Every = None,
    max_age: MaxAge = MAX_AGE,
) -> int:
    """Keep a verified copy of a log; report one that contradicts itself, stands still or has another key.

    Exit status 0 when the copy is up to date, 1 when the log is invalid or stands still, 2 when it cannot be
    reached.
    """
    with reported_as_usage_errors():
        rules = read_policy(policy)
        if client is not None and (certificate or key or issuers):
            raise Unusable("--client: its file contains everything needed; omit the other options")
        own = None if certificate is None else TlsIdentity(certificate, key)
        caller = (
            EnteredAddressClient(any_address, client_tls(own, issuers))
            if client is None
            else _bearing(load_client(client))
        )
        return run(_follow(address, copy, rules, caller, every, max_age))


@asynccontextmanager
async def _bearing(config: ClientConfig) -> AsyncIterator[Caller]:
    """Provide a caller that uses access tokens with only the scope ``log``."""
    async with http_client(client_tls(trust=config.issuers), public_only=False) as http:
        yield Bearing(http, tokens_for(config, http, Scope.LOG.value))


def promises(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help=f"Values of the header {HEADER}, one or more a line.")
    ],
    copy: Copy,
    policy: PolicyFile,
    cadence: Cadence = CADENCE,
    as_json: AsJson = False,
) -> int:
    """Report which promises of a log were broken, according to a verified copy of it.

    Exit status 0 when none was broken, 1 otherwise, 2 when a line cannot be used.
    """
    with reported_as_usage_errors():
        keys = [member.key for member in read_policy(policy).logs]
        counted: Counter[str] = Counter({verdict.value: 0 for verdict in Verdict} | {"forged": 0})
        broken: list[dict[str, Any]] = []
        once = Once()
        with LogCopy(copy, begin=False) as kept:
            end, now = kept.last(), int(time.time())
            for line, text in _given(file):
                try:
                    promise = Promise.open(text, keys, f"{shown(file)}, line {line}")
                except Malformed as fault:
                    raise Unusable(str(fault)) from None
                except Unverified:
                    counted["forged"] += 1
                    broken.append({"line": line, "number": None, "verdict": "forged"})
                    continue
                verdict = judge(promise, kept.entry, end, now, cadence)
                if not once.holds(promise):
                    verdict = Verdict.BROKEN
                counted[verdict.value] += 1
                if verdict is Verdict.BROKEN:
                    broken.append({"line": line, "number": promise.number, "verdict": verdict.value})
    if as_json:
        print_json({**counted, "not_kept": broken})
    else:
        for each in broken:
            print_verdict(f"line {each['line']}: ", _words(each), good=False)
        print_line(", ".join(f"{number} {name}" for name, number in counted.items()))
    return 1 if broken else 0


async def _follow(
    address: str,
    file: Path,
    policy: Policy,
    caller: AbstractAsyncContextManager[Caller],
    every: int | None,
    max_age: int,
) -> int:
    async with caller as client:
        with LogCopy(file) as copy:
            while True:
                try:
                    log = LogAddress(client, address)
                    followed = await bring_up_to_date(log, policy, copy)
                    await look_back(log, copy, followed.new)
                    _print(followed)
                    seen = followed.witnessed_at
                except (LogContradicted, LogUnreadable) as fault:
                    print_verdict(f"{_now()}  ", str(fault), good=False)
                    return 1
                except LogUnreachable as outage:
                    if every is None:
                        raise Unusable(str(outage)) from None
                    print_line(f"{_now()}  {outage}; asked again")
                    seen = copy.witnessed_at(policy)
                    if seen is None:
                        await asyncio.sleep(every)
                        continue
                if stale := fault_of_age(seen, datetime.now(UTC), max_age):
                    print_verdict(f"{_now()}  ", f"the log cannot be relied on: {stale}", good=False)
                    return 1
                if every is None:
                    return 0
                await asyncio.sleep(every)


def _print(followed: Followed) -> None:
    size, seen = followed.checkpoint.checkpoint.size, followed.witnessed_at
    when = "no witness needed" if seen is None else f"witnessed at {spelled(seen)}"
    print_line(f"{_now()}  {size} entries, {followed.new} new, {when}")


def _now() -> str:
    return f"{datetime.now(UTC):%F %T}Z"


def _given(file: Path) -> Iterator[tuple[int, str]]:
    """Yield each promise with the number of its line; overlong lines are refused."""
    with file.open("rb") as lines:
        for place in range(1, 1 << 62):
            line = lines.readline(_LONGEST + 1)
            if not line:
                return
            if len(line) > _LONGEST:
                raise Unusable(f"{shown(file)}, line {place}: the line is too long for promises")
            for text in line.decode("latin-1").replace(",", " ").split():
                yield place, text


_LONGEST = 100 * MAX_PROMISE


def _words(each: dict[str, Any]) -> str:
    if each["verdict"] == "forged":
        return "this is not a promise of the log"
    return f"entry {each['number']} was promised, but is not in the log"
