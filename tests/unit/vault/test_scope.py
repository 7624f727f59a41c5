"""Invariant 1: an opened vault is the scope, and no operation in it takes an organisation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator

import pytest

from samdrift.vault.accesspoint import AccessPointVault
from samdrift.vault.messageservice import MessageServiceVault

_NAMES = {"organisation", "participant", "vault", "schema", "login", "role"}


def operations(vault: type) -> Iterator[tuple[str, Callable[..., object]]]:
    """The public operations of a vault."""
    for name, member in inspect.getmembers(vault):
        operation = member.fget if isinstance(member, property) else member
        if inspect.isfunction(operation) and not name.startswith("_"):
            yield name, operation


def names_a_scope(operation: Callable[..., object]) -> bool:
    return any(
        parameter.name in _NAMES or "ParticipantIdentifier" in str(parameter.annotation)
        for parameter in inspect.signature(operation).parameters.values()
    )


@pytest.mark.parametrize("vault", [AccessPointVault, MessageServiceVault])
def test_no_operation_of_a_vault_takes_an_organisation(vault: type) -> None:
    found = dict(operations(vault))
    assert {"log", "record", "new_body"} <= found.keys()
    assert [name for name, operation in found.items() if names_a_scope(operation)] == []


def test_an_operation_that_takes_one_is_seen() -> None:
    def by_name(self: object, organisation: str) -> None: ...
    def by_type(self: object, whose: "ParticipantIdentifier | None") -> None: ...  # noqa: F821, UP037

    assert names_a_scope(by_name)
    assert names_a_scope(by_type)
