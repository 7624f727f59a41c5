"""Bodies: any size in any pieces is restored; altered, moved or cut ones are not."""

from __future__ import annotations

import hashlib
import os
import random
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from samdrift.keystore.interface import DataKey, DataKeys
from samdrift.vault.bodies import FRAME, IN_ROW, Body, BodyReader, BodyWriter, Shelf
from samdrift.vault.errors import SealBroken, VaultClosed
from samdrift.vault.objects import Objects, make_place
from samdrift.vault.sealing import Sealer

KEYS = DataKeys((DataKey(1, bytes(range(32))),))
HEADER = 2 + 24
SEALED_FRAME = FRAME + 17


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    make_place(tmp_path / "objects")
    return Shelf("v1", Sealer("v1", KEYS), Objects(tmp_path / "objects"))


async def written(shelf: Shelf, data: bytes, pieces: int = 1) -> Body:
    writer = BodyWriter(shelf, digested=True)
    cuts = sorted(random.Random(len(data)).choices(range(len(data) + 1), k=pieces - 1))
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        await writer.write(data[start:end])
    return await writer.finish()


SIZES = [
    0,
    1,
    FRAME - 1,
    FRAME,
    FRAME + 1,
    IN_ROW - 1,
    IN_ROW,
    IN_ROW + 1,
    3 * FRAME,
    3 * FRAME + 7,
    2_000_000,
]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pieces", [1, 7])
async def test_every_size_comes_back_in_order(shelf: Shelf, size: int, pieces: int) -> None:
    data = random.Random(size).randbytes(size)
    body = await written(shelf, data, pieces)
    assert (body.size, body.sha256) == (size, hashlib.sha256(data).digest())
    assert (body.sealed is not None) == (size <= IN_ROW)
    reader = body.reader()
    assert await reader.read_all() == data
    assert await reader.read_all() == data, "a reader can be read again"


async def test_plaintext_is_neither_in_the_row_nor_in_the_object(shelf: Shelf, tmp_path: Path) -> None:
    marker = b"Orosanmalan om Kim Svensson"
    small = await written(shelf, marker)
    assert small.sealed is not None
    assert marker not in small.sealed
    large = await written(shelf, marker * 10_000)
    (stored,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert marker not in stored.read_bytes()
    assert await large.reader().read_all() == marker * 10_000


@pytest.mark.parametrize("position", [0, HEADER, HEADER + 20, SEALED_FRAME + HEADER, -1])
async def test_any_changed_byte_is_noticed(shelf: Shelf, position: int) -> None:
    body = await written(shelf, os.urandom(FRAME + 100))
    sealed = bytearray(body.sealed or b"")
    sealed[position] ^= 1
    with pytest.raises(SealBroken):
        await BodyReader(shelf, body.id, body.size, bytes(sealed)).read_all()


@pytest.mark.parametrize(
    "length", [0, 1, HEADER - 1, HEADER, HEADER + 5, HEADER + SEALED_FRAME, HEADER + SEALED_FRAME + 10]
)
async def test_a_stream_that_is_cut_off_is_noticed(shelf: Shelf, length: int) -> None:
    body = await written(shelf, os.urandom(FRAME + 100))
    assert body.sealed is not None
    with pytest.raises(SealBroken):
        await BodyReader(shelf, body.id, body.size, body.sealed[:length]).read_all()


async def test_frames_that_are_exchanged_or_added_are_noticed(shelf: Shelf) -> None:
    body = await written(shelf, os.urandom(2 * FRAME))
    assert body.sealed is not None
    header, first, second = (
        body.sealed[:HEADER],
        body.sealed[HEADER : HEADER + SEALED_FRAME],
        body.sealed[HEADER + SEALED_FRAME :],
    )
    for forged in (header + second + first, header + first + second + second, header + second):
        with pytest.raises(SealBroken):
            await BodyReader(shelf, body.id, body.size, forged).read_all()


async def test_a_body_opens_under_no_other_id_and_in_no_other_vault(shelf: Shelf) -> None:
    body = await written(shelf, b"mine")
    other = await written(shelf, b"yours")
    stranger = replace(shelf, vault="v2", sealer=Sealer("v2", KEYS))
    for reader in (
        BodyReader(shelf, other.id, body.size, body.sealed),
        BodyReader(stranger, body.id, body.size, body.sealed),
    ):
        with pytest.raises(SealBroken):
            await reader.read_all()


async def test_an_object_of_another_body_is_noticed(shelf: Shelf, tmp_path: Path) -> None:
    one, other = await written(shelf, os.urandom(200_000)), await written(shelf, os.urandom(200_000))
    folder = tmp_path / "objects" / "v1"
    (folder / one.id).write_bytes((folder / other.id).read_bytes())
    with pytest.raises(SealBroken):
        await one.reader().read_all()


async def test_an_object_that_is_gone_is_a_typed_error(shelf: Shelf, tmp_path: Path) -> None:
    body = await written(shelf, os.urandom(200_000))
    (tmp_path / "objects" / "v1" / body.id).unlink()
    with pytest.raises(SealBroken):
        await body.reader().read_all()


@pytest.mark.parametrize("finished", [False, True])
async def test_discarded_bodies_leave_nothing(shelf: Shelf, tmp_path: Path, finished: bool) -> None:
    writer = BodyWriter(shelf)
    await writer.write(os.urandom(3_000_000))
    if finished:
        await writer.finish()
    await writer.discard()
    await writer.discard()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    with pytest.raises(VaultClosed):
        await writer.write(b"more")
    with pytest.raises(VaultClosed):
        await writer.finish()


async def test_memory_does_not_grow_with_the_body(shelf: Shelf) -> None:
    piece = os.urandom(256 * 1024)
    tracemalloc.start()
    try:
        writer = BodyWriter(shelf)
        for _ in range(120):
            await writer.write(piece)
        body = await writer.finish()
        size = 0
        async for part in body.reader():
            size += len(part)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == body.size == 120 * len(piece)
    assert peak < 4_000_000


async def test_a_body_has_no_digest_that_nobody_asked_for(shelf: Shelf) -> None:
    """The digest would be in clear text, and confirm a guess at the content."""
    writer = BodyWriter(shelf)
    await writer.write(b"Orosanmalan om Kim Svensson")
    assert (await writer.finish()).sha256 is None
