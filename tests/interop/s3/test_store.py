"""Bodies in a real S3 server: whole or absent, bounded in memory, encrypted, separate for each vault."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Purpose, Role
from samdrift.net.clock import system_clock
from samdrift.operations.findings import Finding, State
from samdrift.operations.foundation import check_foundation
from samdrift.vault import remoteobjects
from samdrift.vault.errors import SealBroken, VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.objects import Objects
from samdrift.vault.settings import S3Settings
from tests import pki
from tests.interop.s3.gateway import SECRET, Gateway, gateway
from tests.storeways import Answer, Way
from tests.unit.net.test_tls import localhost, write
from tests.unit.operations.backingup import grounded
from tests.vaults import MINUTE, WORKER, Installation, installed, server_folder, settings_in, submitted, until

AP = Role.ACCESS_POINT
MIB = 1 << 20
WORD = b"Orosanmalan om Kajsa Anka"
STREAMED = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from samdrift.vault import remoteobjects
from samdrift.vault.objects import Objects
from samdrift.vault.settings import S3Settings

remoteobjects._CONNECT = remoteobjects.ANSWER = timedelta(minutes=5)

def greatest():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))

async def main(endpoint, key, secret, size):
    objects = Objects(S3Settings("s3://bodies/memory", key, secret, endpoint))
    before = greatest()
    writer, read = objects.writer("v1/one"), 0
    for _ in range(int(size) << 4):
        await writer.write(bytes(1 << 16))
    await writer.close()
    async for piece in objects.pieces("v1/one"):
        read += len(piece)
    await objects.delete("v1/one")
    print(read, greatest() - before)

asyncio.run(main(*sys.argv[1:]))
"""

PART = 5 << 20
"""Smallest part of an upload, in bytes."""
UNFINISHED = """
import asyncio, sys
from datetime import timedelta
from samdrift.vault import remoteobjects
from samdrift.vault.objects import Objects
from samdrift.vault.settings import S3Settings

remoteobjects._CONNECT = remoteobjects.ANSWER = timedelta(minutes=5)

async def main(url, endpoint, key, secret, name):
    writer = Objects(S3Settings(url, key, secret, endpoint)).writer(name)
    while True:
        await writer.write(bytes(1 << 20))
        await asyncio.sleep(0.01)

asyncio.run(main(*sys.argv[1:]))
"""
"""Program that writes continuously until it is killed."""


async def put(objects: Objects, name: str, data: bytes) -> None:
    writer = objects.writer(name)
    await writer.write(data)
    await writer.close()


async def get(objects: Objects, name: str) -> bytes:
    return b"".join([piece async for piece in objects.pieces(name)])


async def test_an_object_is_seen_when_it_is_whole_and_until_it_is_deleted(store: Gateway) -> None:
    objects, data = Objects(store.settings("whole")), os.urandom(12 * MIB)
    writer = objects.writer("v1/one")
    for at in range(0, len(data), MIB):
        await writer.write(data[at : at + MIB])
    assert store.parts()
    assert await objects.under("v1") == []
    with pytest.raises(SealBroken):
        await get(objects, "v1/one")
    await writer.close()
    assert not store.parts()
    assert await get(objects, "v1/one") == data
    (listed,) = await objects.under("v1")
    assert (listed.name, listed.size) == ("v1/one", len(data))
    assert abs(listed.modified - system_clock()) < timedelta(minutes=10)
    await objects.delete("v1/one")
    await objects.delete("v1/one")
    with pytest.raises(SealBroken):
        await get(objects, "v1/one")
    assert await objects.under("v1") == []


async def test_a_listing_and_a_clearing_are_of_one_vault_alone_however_many_objects_it_has(
    store: Gateway,
) -> None:
    """The store lists a thousand objects at a time."""
    objects = Objects(store.settings("many"))
    await put(objects, "v10/other", b"2")
    (store.bucket / "many" / "v1").mkdir(parents=True)
    for number in range(1100):
        (store.bucket / "many" / "v1" / f"{number:04}").write_bytes(b"1")
    assert len(await objects.under("v1")) == 1100
    await objects.clear("v1")
    assert await objects.under("v1") == []
    assert [each.name for each in await objects.under("v10")] == ["v10/other"]


def test_memory_does_not_grow_with_the_object(store: Gateway) -> None:
    """Peak memory is measured for 30 MB and for 100 MB, each in a process of its own."""
    grown = {}
    for size in (30, 100):
        settings = store.settings()
        command = [sys.executable, "-c", STREAMED, store.address, settings.access_key, SECRET, str(size)]
        read, grown[size] = map(
            int, subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.split()
        )
        assert read == size * MIB
    assert grown[100] < 60 << 10, grown
    assert grown[100] - grown[30] < 20 << 10, grown


async def test_a_store_that_breaks_off_while_an_object_is_read_or_written_loses_and_alters_nothing(
    store: Gateway, way: Way
) -> None:
    objects, data = Objects(store.settings("broken", way.address)), os.urandom(12 * MIB)
    await put(objects, "v1/one", data)
    way.drop()
    way.cut_after = 2 * MIB
    assert await get(objects, "v1/one") == data, "the rest of an interrupted piece must be requested again"
    way.drop()
    way.cut_after = 100
    with pytest.raises(VaultUnavailable):
        await get(objects, "v1/one")
    way.mended()
    assert await get(objects, "v1/one") == data
    writer = objects.writer("v1/two")
    await writer.write(data)
    way.refused = True
    way.drop()
    with pytest.raises(VaultUnavailable):
        await writer.close()
    way.mended()
    assert [each.name for each in await objects.under("v1")] == ["v1/one"]
    await put(objects, "v1/two", data)
    assert await get(objects, "v1/two") == data


async def test_a_few_refusals_for_want_of_capacity_are_waited_for(
    store: Gateway, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    way.answer = Answer(503, "SlowDown")
    objects = Objects(store.settings("slow", way.address))
    putting = asyncio.create_task(put(objects, "v1/one", b"content"))
    while len(way.requests) < 2:
        await asyncio.sleep(0.01)
    way.answer = None
    await putting
    assert await get(objects, "v1/one") == b"content"


async def test_a_store_that_is_reached_by_tls_shows_a_certificate_that_is_trusted(tmp_path: Path) -> None:
    authority = pki.root("S3 CA", 1)
    certified = localhost(authority)
    certificate = write(tmp_path / "certificate.pem", certified.certificate)
    key = write(tmp_path / "key.pem", key=certified)
    issuer = write(tmp_path / "issuer.pem", authority.certificate)
    with gateway(tmp_path / "s3", "--cert", certificate, "--key", key) as store:
        unknown = store.settings("tls", f"https://localhost:{store.port}")
        with pytest.raises(VaultUnavailable):
            await put(Objects(unknown), "v1/one", b"content")
        known = Objects(replace(unknown, issuers=issuer.read_bytes()))
        await put(known, "v1/one", b"content")
        assert await get(known, "v1/one") == b"content"


# --- vaults ---------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def own(store: Gateway, way: Way) -> AsyncIterator[Installation]:
    """Yield an installation with bodies in a bucket, over a connection that can be broken."""
    with server_folder() as folder:
        settings = replace(settings_in(folder), objects=store.settings("vaults", way.address))
        async with installed(settings) as one:
            yield one


async def test_each_vault_has_a_prefix_of_its_own_and_nothing_in_it_can_be_read(
    own: Installation, store: Gateway
) -> None:
    """The bytes in the store are inspected, and those of an unfinished upload."""
    habo, other = [await own.organisation([AP]) for _ in range(2)]
    data = WORD * 20_000
    for organisation in (habo, other):
        async with own.open(organisation, AP) as vault:
            transfer = await submitted(vault, data, lease=MINUTE)
            again = await vault.outgoing_body(transfer.id)
            assert await again.read_all() == data
    files = [each for each in store.files() if "vaults" in each.parts]
    vaults = {each.relative_to(store.bucket / "vaults").parts[0] for each in files}
    registered = {own.gate.registry.find(each, AP) for each in (habo, other)}
    assert vaults == {each.vault for each in registered if each is not None}
    async with own.open(habo, AP) as vault:
        writer = vault.new_body()
        await writer.write(WORD * 600_000)
        await until(lambda: bool(store.parts()))
        parts = store.parts()
        for file in (*files, *parts):
            assert WORD[:12] not in file.read_bytes()
            assert habo.value not in f"{file}"
        await writer.finish()
    assert {each for each in store.files() if "vaults" in each.parts} == set(files), (
        "a body that no record refers to must not be kept"
    )


async def test_a_sweep_removes_old_objects_that_no_row_knows_and_a_closing_all_of_a_vault(
    own: Installation, store: Gateway
) -> None:
    habo, other = [await own.organisation([AP]) for _ in range(2)]
    for organisation in (habo, other):
        async with own.open(organisation, AP) as vault:
            await submitted(vault, os.urandom(300_000), lease=MINUTE)
    mine = own.gate.registry.find(habo, AP)
    assert mine is not None
    kept = store.files()
    await put(Objects(own.settings.objects), f"{mine.vault}/lost", b"x")
    async with own.open(habo, AP, Purpose.MAINTAIN) as vault:
        assert await vault.sweep() == 0, "a new object may belong to work in progress"
    later = await Gate.start(own.settings, clock=lambda: system_clock() + timedelta(days=2))
    try:
        async with later.open(WORKER, habo, AP, Purpose.MAINTAIN) as vault:
            assert await vault.sweep() == 1
    finally:
        await later.close()
    assert store.files() == kept
    await own.provisioner.drop(habo, AP)
    assert not [each for each in store.files() if mine.vault in each.parts]
    assert len(store.files()) == len(kept) - 1


async def killed_while_it_writes(store: Gateway, vault: str) -> set[Path]:
    """Kill a process that writes a body to a vault, once the store has whole parts of it; return these."""
    before, place = set(store.parts()), store.settings("vaults")

    def written() -> set[Path]:
        """Return the whole parts; the store itself drops the one that it is receiving."""
        found = set[Path]()
        for each in set(store.parts()) - before:
            with contextlib.suppress(FileNotFoundError):
                if each.stat().st_size >= PART:
                    found.add(each)
        return found

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", UNFINISHED, place.url, store.address, place.access_key, SECRET),
        f"{vault}/unfinished",
    )
    try:
        await until(lambda: len(written()) > 1)
    finally:
        process.kill()
        await process.wait()
    return written()


async def test_a_sweep_aborts_old_uploads_of_killed_processes_and_a_closing_all_of_a_vault(
    own: Installation, store: Gateway
) -> None:
    habo, other = [await own.organisation([AP]) for _ in range(2)]
    registered = [own.gate.registry.find(each, AP) for each in (habo, other)]
    mine, others = [await killed_while_it_writes(store, each.vault) for each in registered if each]
    async with own.open(habo, AP, Purpose.MAINTAIN) as vault:
        await vault.sweep()
    assert mine | others <= set(store.parts()), "new uploads may belong to work in progress"
    later = await Gate.start(own.settings, clock=lambda: system_clock() + timedelta(hours=13))
    try:
        async with later.open(WORKER, habo, AP, Purpose.MAINTAIN) as vault:
            await vault.sweep()
    finally:
        await later.close()
    assert mine.isdisjoint(store.parts())
    assert others <= set(store.parts())
    await own.provisioner.drop(other, AP)
    assert others.isdisjoint(store.parts())


@pytest.mark.parametrize("fault", ["refused", "denied", "slow down", "no bucket", "silent"])
async def test_what_the_store_does_not_take_is_not_stored_and_the_same_call_succeeds_later(
    own: Installation, store: Gateway, way: Way, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data is durable before it is acknowledged: the sender learns that it was not accepted."""
    monkeypatch.setitem(remoteobjects._RETRIES, "max_retries", 0)
    habo = await own.organisation([AP])
    data = os.urandom(300_000)
    answers = {
        "denied": (403, "AccessDenied"),
        "slow down": (503, "SlowDown"),
        "no bucket": (404, "NoSuchBucket"),
    }
    way.refused, way.silent = fault == "refused", fault == "silent"
    way.answer = Answer(*answers[fault]) if fault in answers else None
    monkeypatch.setattr(remoteobjects, "ANSWER", timedelta(seconds=1))
    gate = await Gate.start(own.settings)
    try:
        with pytest.raises(VaultUnavailable) as caught:
            async with gate.open(WORKER, habo, AP, Purpose.PROCESS) as vault:
                await submitted(vault, data, lease=MINUTE)
        assert caught.value.cause.startswith("object store: ")
        with pytest.raises(VaultUnavailable):
            await gate.reach_objects()
        way.mended()
        await gate.reach_objects()
        async with gate.open(WORKER, habo, AP, Purpose.PROCESS) as vault:
            assert await vault.next_due() is None, "nothing was stored"
            transfer = await submitted(vault, data, lease=MINUTE)
        way.answer = Answer(404, "NoSuchBucket")
        way.drop()
        async with gate.open(WORKER, habo, AP, Purpose.PROCESS) as vault:
            body = await vault.outgoing_body(transfer.id)
            with pytest.raises(VaultUnavailable):
                await body.read_all()
            way.mended()
            assert await body.read_all() == data
    finally:
        await gate.close()


async def test_a_backup_has_the_bodies_of_a_bucket_and_drill_and_restore_put_them_back(
    own: Installation, store: Gateway, tmp_path: Path
) -> None:
    ground = await grounded(own, tmp_path / "backups")
    vaults = {one.vault for one in own.gate.registry.all()}

    def stored() -> dict[str, bytes]:
        found = (each for each in store.files() if vaults & {*each.parts})
        return {each.name: each.read_bytes() for each in found}

    before = stored()
    made = await ground.create()
    mine = ground.read(made.folder).manifest.of(ground.organisation.value)
    assert (mine.bodies >= 3, mine.lost) == (True, 0)
    assert not (await ground.drill(made)).differences
    assert stored() == before
    assert not [each for each in store.files() if "drill" in f"{each}"], "a drill must leave no files"
    for vault in vaults:
        await Objects(own.settings.objects).clear(vault)
    assert stored() == {}
    await ground.restore(made)
    assert stored() == before


# --- the doctor -----------------------------------------------------------------------------------------


async def examined(own: Installation, objects: S3Settings) -> dict[str, Finding]:
    found, _ = await check_foundation(replace(own.settings, objects=objects))
    return {one.id: one for one in found}


async def test_the_doctor_writes_lists_reads_and_removes_and_compares_clocks(
    own: Installation, store: Gateway, way: Way
) -> None:
    before = store.files()
    found = await examined(own, store.settings("doctor"))
    assert (found["objects"].state, found["objects.clock"].state) == (State.OK, State.OK)
    assert store.files() == before
    wrong = await examined(own, store.settings("doctor", secret="another"))
    assert wrong["objects"].found == "object store: it answers 403 SignatureDoesNotMatch"
    assert "vaults.s3" in wrong["objects"].todo
    way.answer = Answer(403, "RequestTimeTooSkewed")
    late = await examined(own, store.settings("doctor", way.address))
    assert late["objects"].state is State.FAIL
    assert "clock" in late["objects"].todo
    nowhere = await examined(own, replace(store.settings(), url="s3://nowhere"))
    assert nowhere["objects"].found == "object store: it answers 404 NoSuchBucket"
    assert "make the bucket" in nowhere["objects"].todo


async def test_the_doctor_finds_a_store_that_may_be_read_alone(own: Installation, tmp_path: Path) -> None:
    with gateway(tmp_path / "s3", "--readonly") as store:
        objects = Objects(store.settings())
        await objects.reach()
        found = (await examined(own, store.settings()))["objects"]
        assert (found.state, found.found) == (State.FAIL, "object store: it answers 403 AccessDenied")
        with pytest.raises(VaultUnavailable):
            await put(objects, "v1/one", b"1")
        with pytest.raises(VaultUnavailable):
            await objects.reach()
