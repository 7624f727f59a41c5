"""File types by content, not by name (content-specification 4.3.3.3 contentType)."""

from samdrift.wire.filetypes.detect import detect
from samdrift.wire.filetypes.kinds import PDF, Kind, agrees, canonical

__all__ = ["PDF", "Kind", "agrees", "canonical", "detect"]
