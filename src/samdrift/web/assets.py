"""Style sheets and scripts, each at an address that contains a hash of its content.

A browser may cache them for ever and never combines an old file with a new page, since new content has a new
address.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from samdrift.web.policy import CLOSED_POLICY, FOR_EVER

STATIC = Path(__file__).parent / "static"
PREFIX = "/static/"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_IMPORT = re.compile(r'(?<=["\'])\./([\w-]+\.js)(?=["\'])')
_HASH_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file used by pages."""

    path: str
    media_type: str
    content: bytes
    packed: bytes


class Assets:
    """All files of some folders by name, read once."""

    def __init__(self, *folders: Path) -> None:
        """Read the files of ``folders`` in addition to our own.

        A module's imports of other files are rewritten to their addresses, so those files are added first.
        """
        sources = {file.name: file for folder in (STATIC, *folders) for file in sorted(folder.iterdir())}
        self._by_name: dict[str, Asset] = {}
        for name in sources:
            self._add(name, sources, ())
        self._by_path = {asset.path: asset for asset in self._by_name.values()}

    def _add(self, name: str, sources: Mapping[str, Path], importers: tuple[str, ...]) -> Asset:
        if name in importers:
            raise ValueError(f"{name} imports itself")
        if name not in self._by_name:
            file = sources[name]
            above = (*importers, name)

            def address(found: re.Match[str]) -> str:
                path = self._add(found[1], sources, above).path
                return f"./{path.removeprefix(PREFIX)}"

            text = _IMPORT.sub(address, file.read_text())
            content = text.encode()
            stamp = hashlib.sha256(content).hexdigest()[:_HASH_CHARACTERS]
            path = f"{PREFIX}{file.stem}.{stamp}{file.suffix}"
            packed = gzip.compress(content, 9, mtime=0)
            self._by_name[name] = Asset(path, _TYPES[file.suffix], content, packed)
        return self._by_name[name]

    def __iter__(self) -> Iterator[tuple[str, Asset]]:
        return iter(self._by_name.items())

    def path(self, name: str) -> str:
        """Return the address of a file; raise :class:`KeyError` for an unknown name."""
        return self._by_name[name].path

    async def answer(self, request: Request) -> Response:
        """Serve a file, compressed if the browser accepts that."""
        asset = self._by_path.get(request.url.path)
        if asset is None:
            return Response(status_code=404)
        headers = {
            "cache-control": FOR_EVER,
            "content-security-policy": CLOSED_POLICY,
            "vary": "accept-encoding",
        }
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(asset.packed, headers=headers, media_type=asset.media_type)
        return Response(asset.content, headers=headers, media_type=asset.media_type)
