"""A transparency log over HTTP (c2sp.org/tlog-tiles): checkpoint, tiles, bundles; at interfaces C and D."""

from __future__ import annotations

from starlette.responses import Response

CHECKPOINT = "checkpoint"
RESOURCE = "/logs/{role}/{resource:path}"
"""Path of a log below an interface's own path: the role that the log belongs to, and the part of the log."""
NOT_THERE = "there is no such part of a log here"


def part_of_log(resource: str, content: bytes) -> Response:
    """Return the response with a part of a log; it may not be cached, because a partial tile grows."""
    kind = "text/plain; charset=utf-8" if resource == CHECKPOINT else "application/octet-stream"
    return Response(content, media_type=kind, headers={"cache-control": "no-store"})


def role_named(path: str, interface: str) -> str | None:
    """Return the role whose log a path under ``interface`` refers to; ``None`` for any other path."""
    prefix = f"{interface}/logs/"
    role, slash, _ = path.removeprefix(prefix).partition("/") if path.startswith(prefix) else ("", "", "")
    return role if slash else None
