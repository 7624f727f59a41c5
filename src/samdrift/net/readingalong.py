"""A log over HTTP (c2sp.org/tlog-tiles): checkpoint, tiles and bundles, at interfaces C and D."""

from __future__ import annotations

from starlette.responses import Response

CHECKPOINT = "checkpoint"
RESOURCE = "/logs/{role}/{resource:path}"
"""Path of a log under an interface's own: which role's it is, and the part of it."""
NOT_THERE = "there is no such part of a log here"


def part_of_log(resource: str, content: bytes) -> Response:
    """Return the answer with a part of a log; a partial tile grows, so that none is kept on the way."""
    kind = "text/plain; charset=utf-8" if resource == CHECKPOINT else "application/octet-stream"
    return Response(content, media_type=kind, headers={"cache-control": "no-store"})


def role_named(path: str, interface: str) -> str | None:
    """Return the role whose log a path under ``interface`` is of; ``None`` for paths of something else."""
    prefix = f"{interface}/logs/"
    role, slash, _ = path.removeprefix(prefix).partition("/") if path.startswith(prefix) else ("", "", "")
    return role if slash else None
