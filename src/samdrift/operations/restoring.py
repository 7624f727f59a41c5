"""Storing and comparing the contents of a backup file, for both restores and drills."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from samdrift.contracts.principals import Role
from samdrift.operations.backupformat import REGISTRY, Beginning, BodySum, Contents
from samdrift.vault.database import migrations
from samdrift.vault.errors import SealBroken
from samdrift.vault.objects import Objects
from samdrift.vault.portability.copies import CopiedTable, Storing


@dataclass(frozen=True, slots=True)
class Place:
    """The place in which a vault from a backup is stored."""

    schema: str
    owner: str | None
    """The role that owns the schema; ``None`` for the administrator."""
    prefix: str
    """Prefix in the object store."""
    made: bool = False
    """True if the schema exists already and must be emptied."""


@dataclass(slots=True)
class Comparison:
    """The number of things compared, and descriptions of the differences without any content."""

    compared: int = 0
    differences: list[str] = field(default_factory=list)

    def same(self, what: str, count: int, *, same: bool) -> None:
        """Add a number of things compared, and whether all were the same."""
        self.compared += count
        if not same:
            self.differences.append(what)


class Restoring:
    """A receiver that stores the contents of a backup file, each vault in the place for its role."""

    def __init__(
        self,
        storing: Storing,
        objects: Objects,
        place: Callable[[str], Place],
        accept: Callable[[Beginning], None] = lambda _: None,
    ) -> None:
        """Prepare to store a file; ``accept`` raises an error if its vaults must not be stored."""
        self._storing = storing
        self._objects = objects
        self._place = place
        self._accept = accept
        self._bodies: dict[str, str] = {}
        """The role of each body."""
        self._named: dict[str, set[str]] = {}
        """Ids of the bodies that the stored rows of each role name, once they have been compared."""

    async def body(self, role: str, body: str, pieces: AsyncIterator[bytes]) -> None:
        writer = self._objects.writer(f"{self._place(role).prefix}/{body}")
        async for piece in pieces:
            await writer.write(piece)
        await writer.close()
        self._bodies[body] = role

    async def begin(self, beginning: Beginning) -> None:
        self._accept(beginning)
        for vault in beginning.vaults:
            place = self._place(vault.role)
            parts = parts_of(vault.role)
            if place.made:
                await self._storing.bring(place.schema, vault.schema, parts)
            else:
                await self._storing.make(place.schema, vault.schema, parts, place.owner)

    async def table(self, role: str, table: CopiedTable, pieces: AsyncIterator[bytes]) -> None:
        async with self._storing.table(self._place(role).schema, table) as write:
            async for piece in pieces:
                await write(piece)

    async def compare(self, beginning: Beginning, contents: Contents, lost: int = 0) -> Comparison:
        """Read back and compare everything that was stored, and bring the schemas up to date.

        ``lost`` is the number of bodies that the backup may lack although its rows name them, because the
        object store had lost them when it was made.
        """
        found = Comparison()
        for vault in beginning.vaults:
            schema = self._place(vault.role).schema
            for table in vault.schema.tables:
                wanted = contents.tables[f"{vault.role}/{table.name}"]
                stored = await self._storing.sum(schema, table)
                same = (stored.rows, stored.digest) == (wanted.count, wanted.digest)
                found.same(f"rows of {vault.role}/{table.name}", wanted.count, same=same)
            named = set(await self._storing.remote_bodies(schema))
            self._named[vault.role] = named
            absent = named - {body for body, role in self._bodies.items() if role == vault.role}
            lost -= len(absent)
            found.same(f"bodies that {vault.role} names", len(named), same=not absent or lost >= 0)
            await self._storing.finish(schema, vault.schema, parts_of(vault.role))
        bodies = await self._stored_bodies()
        found.same("bodies in the object store", bodies.value.count, same=bodies.value == contents.bodies)
        return found

    async def lost(self) -> dict[str, int]:
        """Return by role how many bodies that the stored rows name are not in the object store now.

        An empty object is not a body.
        """
        found = {}
        for role, named in self._named.items():
            prefix = self._place(role).prefix
            there = {each.name for each in await self._objects.under(prefix) if each.size}
            found[role] = sum(f"{prefix}/{body}" not in there for body in named)
        return {role: count for role, count in found.items() if count}

    async def _stored_bodies(self) -> BodySum:
        found = BodySum()
        for body, role in self._bodies.items():
            digest = hashlib.sha256()
            try:
                async for piece in self._objects.pieces(f"{self._place(role).prefix}/{body}"):
                    digest.update(piece)
            except SealBroken:
                continue
            found.add(role, body, digest.hexdigest())
        return found


def parts_of(role: str) -> Sequence[str]:
    """Return the migration parts that make up the schema of a role, or of the registry."""
    return migrations.REGISTRY if role == REGISTRY else migrations.VAULT[Role(role)]
