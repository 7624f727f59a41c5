"""What a file is by its content, whatever it is called (content-specification 4.3.3.3 contentType)."""

from samdrift.wire.filetypes.detect import detect
from samdrift.wire.filetypes.kinds import Kind
from samdrift.wire.filetypes.types import PDF, agrees, canonical

__all__ = ["PDF", "Kind", "agrees", "canonical", "detect"]
