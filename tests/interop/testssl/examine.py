"""Examines the listeners with testssl.sh and stores its findings, which takes minutes for each of them.

``python -m tests.interop.testssl.examine`` writes the file with which the tests compare. It has the findings
that are compared, with the versions of the programs that made them. If the file is removed first, all
listeners are examined again.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.interop.testssl.listeners import CERTIFICATES, HOST, LISTENERS, NAME, listening

KEPT = Path(__file__).with_name("verdicts.json")
_PROTOCOLS, _SHOWN, _FORWARD_SECRECY = "-p", "-S", "-f"
_TAKEN = (_PROTOCOLS, "-s", "-R", "-C", "-J")
"""Options for protocols, kinds of cipher suites, renegotiation, compression, and groups."""
SAYS: Mapping[str, tuple[str, ...]] = {
    "versions": ("SSLv2", "SSLv3", "TLS1", "TLS1_1"),
    "suites": (
        "cipherlist_NULL",
        "cipherlist_aNULL",
        "cipherlist_EXPORT",
        "cipherlist_LOW",
        "cipherlist_3DES_IDEA",
    ),
    "forward-secrecy": ("PFS",),
    "group": ("LOGJAM", "LOGJAM-common_primes"),
    "cbc": ("cipherlist_AVERAGE",),
    "compression": ("CRIME_TLS",),
    "renegotiation": ("secure_renego",),
    "certificate": ("cert_trust", "cert_chain_of_trust", "cert_expirationStatus"),
    "key": ("cert_keySize", "cert_signatureAlgorithm"),
}
"""Names in testssl.sh of the findings that concern each rule."""
NOT_JUDGED = ("secure_client_renego", "OCSP_stapling")
"""Findings of testssl.sh that lower no grade at SSL Labs (docs/operations.md)."""
FINE = ("OK", "INFO")
_AT_ONCE = 3
Said = Mapping[str, Sequence[str]]
"""Severity and finding, by testssl.sh's names."""


async def asked(port: int, issuers: Path, folder: Path, *what: str) -> Said:
    """Examine a listener with testssl.sh."""
    file = folder / f"{port}.json"
    options = ("--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--ip", HOST)
    process = await asyncio.create_subprocess_exec(
        *("testssl", *options, "--jsonfile", file, *what, f"{NAME}:{port}"),
        env={"PATH": "/usr/bin:/bin", "CA_BUNDLES_PATH": str(issuers.parent), "TERM": "dumb"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    await process.wait()
    found = json.loads(await asyncio.to_thread(file.read_text))
    return {one["id"]: (one["severity"], one["finding"]) for one in found}


def broken(said: Said) -> set[str]:
    """Return the rules that are broken according to testssl.sh."""
    return {
        rule for rule, names in SAYS.items() for name in names if name in said and said[name][0] not in FINE
    }


def version() -> str:
    """Return the version of Debian's package, and that of the OpenSSL that it uses."""
    package = ("dpkg-query", "--show", "--showformat", "${Version}", "testssl.sh")
    said = [
        subprocess.run(one, check=True, capture_output=True, text=True).stdout.strip()
        for one in (package, ("openssl", "version"))
    ]
    return f"testssl.sh {said[0]}, {said[1]}"


async def _examined() -> None:
    """Examine every listener without stored findings, and store each result immediately."""
    turns = asyncio.Semaphore(_AT_ONCE)
    compared = {name for names in SAYS.values() for name in names} | {*NOT_JUDGED}
    found: dict[str, dict[str, Sequence[str]]] = kept()
    with tempfile.TemporaryDirectory() as folder:
        async with listening(Path(folder)) as (files, ports):

            async def one(which: str) -> None:
                what = (_PROTOCOLS, _SHOWN) if which in CERTIFICATES else _TAKEN
                if "forward secrecy" in which:
                    what = (*what, _FORWARD_SECRECY)
                async with turns:
                    said = await asked(ports[which], files.issuers, Path(folder), *what)
                print(f"{which}: {sorted(broken(said))}", file=sys.stderr, flush=True)
                found[which] = {name: said[name] for name in sorted(said) if name in compared}
                ordered = {each: found[each] for each in LISTENERS if each in found}
                KEPT.write_text(f"{json.dumps({'by': version(), 'listeners': ordered}, indent=1)}\n")

            await asyncio.gather(*(one(which) for which in LISTENERS if which not in found))


def kept() -> dict[str, dict[str, Sequence[str]]]:
    """Return testssl.sh's stored findings about each listener."""
    return json.loads(KEPT.read_text())["listeners"] if KEPT.exists() else {}


if __name__ == "__main__":
    asyncio.run(_examined())
