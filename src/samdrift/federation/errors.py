"""What can go wrong when a local federation is set up or asked to register something."""

from __future__ import annotations

from samdrift.contracts.errors import Explained


class FederationError(Explained):
    """A local federation cannot do what it was asked; the text says why."""
