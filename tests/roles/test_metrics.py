"""Metrics of a running access point for a Prometheus on the same host, and their limits."""

from __future__ import annotations

import asyncio
import urllib.request
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from tests.roles.member import Member, until
from tests.roles.stage import Stage


@dataclass(frozen=True)
class Scraped:
    """An answer as another vendor's parser reads it."""

    text: str
    samples: dict[tuple[str, str], float]

    def value(self, name: str, label: str = "") -> float:
        return self.samples.get((f"samdrift_ap_{name}", label), 0.0)


async def scraped(member: Member) -> Scraped:
    assert member.config.metrics is not None
    listen = member.config.metrics.listen
    address = f"http://{listen.host}:{listen.port}/metrics"
    text = await asyncio.to_thread(lambda: urllib.request.urlopen(address).read().decode())
    families = text_string_to_metric_families(text)
    found = {
        (sample.name, "".join(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }
    return Scraped(text, found)


async def test_an_exchange_is_counted_at_both_ends(stage: Stage) -> None:
    at_sender, at_recipient = await scraped(stage.habo), await scraped(stage.agency)
    message_id = await stage.habo.send(stage.agency.address)
    await stage.habo.ends(message_id)

    async def counted() -> bool | None:
        sent, received = await scraped(stage.habo), await scraped(stage.agency)
        return (
            sent.value("sent_total") > at_sender.value("sent_total")
            and sent.value("attempt_seconds_count", "delivered")
            > at_sender.value("attempt_seconds_count", "delivered")
            and received.value("received_total") > at_recipient.value("received_total")
        ) or None

    await until(counted, "both ends have counted")


async def test_a_transfer_that_fails_is_counted_by_its_reason_and_seen_while_it_waits(stage: Stage) -> None:
    before = await scraped(stage.habo)
    peer = stage.peer()
    peer.answers(503, 503, 503)
    message_id = await stage.habo.send(peer.address)

    async def queued() -> bool | None:
        now = await scraped(stage.habo)
        return True if now.value("queued") and now.value("oldest_queued_seconds") else None

    await until(queued, "a transfer that waits")
    await stage.habo.ends(message_id)
    after = await scraped(stage.habo)
    for name, more in (("postponed_total", 2), ("failed_total", 1)):
        assert after.value(name, "peer-unreachable") == before.value(name, "peer-unreachable") + more


async def test_refusals_are_counted_by_their_reason(stage: Stage) -> None:
    peer = stage.peer()
    envelope = peer.encloses(stage.habo)
    before = await scraped(stage.habo)
    await peer.posts(envelope, stage.habo, {"final_recipient": "0203:okand.example.se"})
    await peer.posts(envelope, stage.habo, {"from_party": "AP9999-SDK-DEMO"})
    posted = await peer.posts(envelope, stage.habo)
    await peer.repeats(posted.message_id, posted.packed, stage.habo)
    after = await scraped(stage.habo)
    for name, label in (
        ("refused_total", "NOT_SERVICED"),
        ("refused_total", "EBMS:0101"),
        ("received_total", ""),
        ("duplicates_total", ""),
    ):
        assert after.value(name, label) == before.value(name, label) + 1


async def test_invariant_9_metrics_name_nobody(stage: Stage) -> None:
    text = (await scraped(stage.habo)).text
    assert "samdrift_ap_sent_total" in text
    for name in ("0203:", "habo", "AP0", stage.habo.access_point.party):
        assert name not in text
