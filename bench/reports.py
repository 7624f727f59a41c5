"""Cost of compliance reports for all organisations of a running installation in one go.

Run with ``python -m bench.reports [ORGANISATIONS]``, 300 by default. Prints the seconds that
`samdrift gov declaration` takes to make the report of every organisation with an access point. It runs as a
process of its own; the installation, and the federation that it queries, are served in this one.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from bench.organisations_host import _organisation, _spare_keys
from samdrift.demo.cast import DemoOperator
from samdrift.demo.enrolment import enrol
from samdrift.federation.server import running as federation_running
from samdrift.installation.loop import run
from samdrift.installation.operator import running

_ORGANISATIONS = 300
_BAR = 300.0


async def _measured(number: int) -> dict[str, object]:
    operator = DemoOperator("operator", "AP0090-SDK-DEMO", tuple(map(_organisation, range(number))))
    with tempfile.TemporaryDirectory(prefix="samdrift-reports-") as name:
        folder = Path(name)
        async with federation_running(folder / "federation") as federation:
            with _spare_keys():
                await enrol(federation, operator, folder / "operator")
            enrolled = await enrol(federation, operator, folder / "operator")
            print(f"{number} organisations are enrolled", file=sys.stderr, flush=True)
            async with running(enrolled.config):
                return await _reported(enrolled.config_file, number)


async def _reported(config: Path, number: int) -> dict[str, object]:
    program = (sys.executable, "-m", "samdrift.cli.main", "gov", "declaration", "--json")
    options = ("--reason", "bench", "--config", str(config))
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime, time.monotonic()
    process = await asyncio.create_subprocess_exec(*program, *options, stdout=asyncio.subprocess.PIPE)
    answer, _ = await process.communicate()
    seconds = time.monotonic() - began
    answers = json.loads(answer)["answers"]
    return {
        "organisations": number,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before, 1),
        "answers": len(answers),
        "reached": process.returncode in (0, 1) and seconds <= _BAR,
    }


def main() -> None:
    """Measure, and print the figures."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else _ORGANISATIONS
    print(json.dumps(run(_measured(number))))


if __name__ == "__main__":
    main()
