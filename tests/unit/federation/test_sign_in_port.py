"""The mock sign-in service keeps its address between runs, or its persons would be new ones."""

from __future__ import annotations

import socket
from pathlib import Path

from samdrift.federation.signin import sign_in_service


async def test_the_address_is_that_of_the_last_run_unless_it_is_taken(tmp_path: Path) -> None:
    kept = tmp_path / "port"
    issuers = []
    for _ in range(2):
        async with sign_in_service(kept=kept) as running:
            issuers.append(running.issuer("habo"))
    assert issuers[0] == issuers[1]
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", int(kept.read_text())))
        taken.listen()
        async with sign_in_service(kept=kept) as running:
            assert running.issuer("habo") != issuers[0]
    kept.write_text("not a port")
    async with sign_in_service(kept=kept):
        assert int(kept.read_text()) > 0
