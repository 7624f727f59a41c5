"""Our own small evaluation of a model and its tuples, and of what OpenFGA refuses to write."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

_OBJECT = re.compile(r"[^:#@\s]{1,254}:[^#:\s]+")
"""What OpenFGA takes for an object (openfga/v1/openfga.proto)."""


class Evaluation:
    """A store: its model and tuples."""

    def __init__(self, model: Mapping[str, Any], tuples: Iterable[Mapping[str, Any]]) -> None:
        self._types = {each["type"]: each for each in model["type_definitions"]}
        self._tuples: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
        known = set()
        for each in tuples:
            key = (each["user"], each["relation"], each["object"])
            assert key not in known, "OpenFGA stores a tuple only once, whatever its condition"
            known.add(key)
            self._accept(each)
            self._tuples[each["object"], each["relation"]].append(each)

    def list_users(self, what: str, relation: str, moment: datetime) -> set[str]:
        """Return the users with a relation: objects without relations, and sets of those who show a claim."""
        definition = self._types[what.partition(":")[0]]["relations"][relation]
        if "tupleToUserset" in definition:
            through = definition["tupleToUserset"]
            held = self._direct(what, through["tupleset"]["relation"], moment)
            follow = through["computedUserset"]["relation"]
            return {user for each in held for user in self.list_users(each, follow, moment)}
        assert definition == {"this": {}}
        found = set[str]()
        for each in self._direct(what, relation, moment):
            name, _, of = each.partition("#")
            found |= self.list_users(name, of, moment) if of else {each}
            found |= {each} if of == "bearer" else set()
        return found

    def _direct(self, what: str, relation: str, moment: datetime) -> list[str]:
        return [each["user"] for each in self._tuples[what, relation] if _holds(each, moment)]

    def _accept(self, each: Mapping[str, Any]) -> None:
        user, _, relation = each["user"].partition("#")
        for name in (user, each["object"]):
            assert _OBJECT.fullmatch(name), name
            assert len(name.encode()) <= 256
        assert "*" not in each["user"]
        allowed = self._types[each["object"].partition(":")[0]]["metadata"]["relations"][each["relation"]]
        wanted = {"type": user.partition(":")[0]}
        wanted |= {"relation": relation} if relation else {}
        wanted |= {"condition": each["condition"]["name"]} if "condition" in each else {}
        assert wanted in allowed["directly_related_user_types"], each


def _holds(each: Mapping[str, Any], moment: datetime) -> bool:
    if "condition" not in each:
        return True
    begins, ends = (datetime.fromisoformat(each["condition"]["context"][name]) for name in ("begins", "ends"))
    return begins <= moment < ends
