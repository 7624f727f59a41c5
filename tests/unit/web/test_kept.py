"""What a sign-in service publishes is fetched again and again while it is down, and one line says why."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from samdrift.web.signin.kept import Kept, ProviderUnavailable
from tests.vaults import NOW


async def test_a_service_that_is_down_is_one_line_for_each_reason_and_outage(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now, answers = NOW, list[str]()

    def clock() -> datetime:
        return now

    async def fetch() -> str:
        answer = answers.pop(0)
        if answer:
            raise ProviderUnavailable(answer)
        return "metadata"

    kept = Kept(fetch, clock)
    down, broken = "unreachable (connection refused)", "an answer of another shape"
    answers += [down, down, down, broken, "", down]
    for _ in range(4):
        with pytest.raises(ProviderUnavailable):
            await kept.now()
        now += timedelta(minutes=1)
    for _ in range(2):
        assert await kept.now() == "metadata"
        now += timedelta(hours=2)
    assert answers == []
    assert caplog.messages == [f"metadata of a sign-in service: {each}" for each in (down, broken, down)]
