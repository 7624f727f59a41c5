"""Functional addresses in messages."""

from __future__ import annotations

from samdrift.wire.sdkmessage import Party


def functional_address(party: Party) -> str:
    """The functional address that a message names for a party, empty when it names none.

    Clauses: architecture-sad 5.3.5 step 2.
    """
    return party.attention.sub_organisation.extension if party.attention else ""
