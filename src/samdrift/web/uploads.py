"""Posted forms and files, read as they arrive; a file is written to a sink, never to disk in clear.

Starlette's own parser writes files over one megabyte to a temporary file before the application sees them, so
it is not used here. No sink is opened before the form's token has been verified.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import parse_qsl

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from samdrift.contracts.errors import Explained
from samdrift.web.forms import Form
from samdrift.web.guards import TOKEN_FIELD, TOKEN_HEADER, Forged, check_token
from samdrift.web.sites import Refusal
from samdrift.wire.xml.writer import representable

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file in a form as announced by the browser; none of it is verified."""

    field: str
    name: str
    media_type: str


class FileSink(Protocol):
    """A receiver for one file, which it seals as it arrives."""

    async def write(self, piece: bytes) -> None:
        """Write the next piece."""

    async def close(self) -> None:
        """Keep the complete file."""

    async def discard(self) -> None:
        """Discard the incomplete file."""


OpenSink = Callable[[FilePart], Awaitable[FileSink]]
_READ = "samdrift.form"


@dataclass(frozen=True, slots=True)
class FormLimits:
    """Limits of one form."""

    fields: int = 500
    text_bytes: int = 4 << 20
    """Total size of all fields with their names."""
    files: int = 100
    file_bytes: int = 48 << 20
    """Total size of all files."""


class Excess(StrEnum):
    """The limit that a form exceeds."""

    FIELDS = "fields"
    TEXT = "text"
    FILES = "files"
    FILE_BYTES = "file-bytes"


class FormTooLarge(Explained):
    """A form that exceeds a limit; none of it is kept."""

    def __init__(self, excess: Excess) -> None:
        super().__init__(f"a form has more {excess} than it may")
        self.excess = excess


class StaleForm(Forged):
    """A form of this site that was made for another session, usually one that has ended.

    Nothing was done with it. It contains the fields, so that they need not be typed again; files must be
    chosen again.
    """

    def __init__(self, form: Form, *, files_lost: bool) -> None:
        super().__init__(Refusal.TOKEN)
        self.fields = tuple((name, value) for name, value in form.fields if name != TOKEN_FIELD)
        self.files_lost = files_lost


async def received(
    request: Request, open_sink: OpenSink | None = None, limits: FormLimits | None = None
) -> Form:
    """Read a posted form, its token first, and write its files to sinks from ``open_sink``.

    Raises :class:`StaleForm` for a token from another session, :class:`~samdrift.web.guards.Forged` for
    anything that is not a form, and :class:`FormTooLarge`. Sinks closed before the error contain complete
    files, which the caller must discard.
    """
    form = await _received(request, open_sink, limits or FormLimits())
    request.scope[_READ] = form
    return form


async def received_before(request: Request) -> Form:
    """Return the form of a request whose handler ended early, perhaps before it had read the form.

    Files that were not read yet are passed over.
    """
    read: Form | None = request.scope.get(_READ)
    return await received(request, pass_over) if read is None else read


async def pass_over(part: FilePart) -> FileSink:
    """Open a sink that discards the content of a file."""
    return _Nowhere()


class _Nowhere:
    """A sink that discards the content of files."""

    async def write(self, piece: bytes) -> None:
        """Discard a piece."""

    async def close(self) -> None:
        """End the file, of which nothing is kept."""

    async def discard(self) -> None:
        """Discard the file, of which nothing is kept."""


async def _received(request: Request, open_sink: OpenSink | None, limits: FormLimits) -> Form:
    token = request.headers.get(TOKEN_HEADER)
    if token is not None:
        check_token(request, token)
        if request.headers.get("content-type") is None:
            return Form()
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind == b"application/x-www-form-urlencoded":
        form = Form(_fields(await _body(request, limits), limits))
        if token is None and not _is_ours(request, form[TOKEN_FIELD]):
            raise StaleForm(form, files_lost=False)
        return form
    if kind == b"multipart/form-data" and b"boundary" in options:
        parts = _Parts(request, open_sink, limits, verified=token is not None)
        return await parts.read(options[b"boundary"])
    raise Forged(Refusal.FORM)


def _is_ours(request: Request, token: str) -> bool:
    try:
        check_token(request, token)
    except Forged:
        return False
    return True


async def _body(request: Request, limits: FormLimits) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limits.text_bytes:
            raise FormTooLarge(Excess.TEXT)
    return bytes(body)


def _fields(body: bytes, limits: FormLimits) -> list[tuple[str, str]]:
    if body.count(b"&") >= limits.fields:
        raise FormTooLarge(Excess.FIELDS)
    try:
        return parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="replace")
    except ValueError:
        raise Forged(Refusal.FORM) from None


@dataclass(slots=True)
class _Field:
    name: str
    value: bytearray


class _Parts:
    """The parts of one multipart form (RFC 7578), in the order in which they arrive."""

    def __init__(
        self, request: Request, open_sink: OpenSink | None, limits: FormLimits, *, verified: bool
    ) -> None:
        self._request = request
        self._open_sink = open_sink
        self._limits = limits
        self._verified = verified
        self._fields: list[tuple[str, str]] = []
        self._text = self._file_bytes = self._files = 0
        self._field: _Field | None = None
        self._sink: FileSink | None = None
        self._headers: dict[str, bytearray] = {}
        self._header = ""
        self._events: list[tuple[str, bytes]] = []
        self._ended = False

    async def read(self, boundary: bytes) -> Form:
        """Read all parts; discard a file that is cut short."""
        parser = MultipartParser(boundary, self._callbacks())
        try:
            async for piece in self._request.stream():
                parser.write(piece)
                await self._handle()
            parser.finalize()
            await self._handle()
            if not self._ended:
                raise Forged(Refusal.FORM)
        except (MultipartParseError, ClientDisconnect) as error:
            await self._discard()
            if isinstance(error, ClientDisconnect):
                raise
            raise Forged(Refusal.FORM) from None
        except BaseException:
            await self._discard()
            raise
        form = Form(self._fields)
        if not self._verified:
            raise StaleForm(form, files_lost=self._files > 0)
        return form

    async def _discard(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            await sink.discard()

    def _callbacks(self) -> MultipartCallbacks:
        """Return callbacks that record the parser's events, because they cannot await a sink."""

        def data(kind: str) -> Callable[[bytes, int, int], None]:
            return lambda piece, start, end: self._events.append((kind, bytes(piece[start:end])))

        def mark(kind: str) -> Callable[[], None]:
            return lambda: self._events.append((kind, b""))

        return cast(
            "MultipartCallbacks",
            {
                **{f"on_{kind}": data(kind) for kind in ("header_field", "header_value", "part_data")},
                **{
                    f"on_{kind}": mark(kind)
                    for kind in ("part_begin", "header_end", "headers_finished", "part_end", "end")
                },
            },
        )

    async def _handle(self) -> None:
        events, self._events = self._events, []
        for kind, piece in events:
            match kind:
                case "part_begin":
                    self._headers, self._header = {}, ""
                case "header_field":
                    self._header += piece.decode("latin-1").lower()
                case "header_value":
                    self._headers.setdefault(self._header, bytearray()).extend(piece)
                case "header_end":
                    self._header = ""
                case "headers_finished":
                    await self._begin()
                case "part_data":
                    await self._data(piece)
                case "part_end":
                    await self._end()
                case _:
                    self._ended = True

    async def _begin(self) -> None:
        _, options = parse_options_header(bytes(self._headers.get("content-disposition", b"")))
        name = options.get(b"name", b"").decode(errors="replace")
        if b"filename" not in options:
            if len(self._fields) >= self._limits.fields:
                raise FormTooLarge(Excess.FIELDS)
            self._count_text(len(name))
            self._field = _Field(name, bytearray())
            return
        file = options[b"filename"].decode(errors="replace")
        if not file:  # A file field that was left empty.
            return
        self._files += 1
        if self._files > self._limits.files:
            raise FormTooLarge(Excess.FILES)
        if not self._verified:
            return  # Skip the file's bytes, but keep the text fields after it.
        if self._open_sink is None:
            raise Forged(Refusal.FORM)
        media_type = bytes(self._headers.get("content-type", b"")).decode("latin-1")
        self._sink = await self._open_sink(FilePart(name, representable(file), media_type))

    async def _data(self, piece: bytes) -> None:
        if self._sink is not None:
            self._file_bytes += len(piece)
            if self._file_bytes > self._limits.file_bytes:
                raise FormTooLarge(Excess.FILE_BYTES)
            await self._sink.write(piece)
        elif self._field is not None:
            self._count_text(len(piece))
            self._field.value += piece

    def _count_text(self, more: int) -> None:
        self._text += more
        if self._text > self._limits.text_bytes:
            raise FormTooLarge(Excess.TEXT)

    async def _end(self) -> None:
        if self._sink is not None:
            sink, self._sink = self._sink, None
            await sink.close()
        elif self._field is not None:
            field, self._field = self._field, None
            value = field.value.decode(errors="replace")
            self._fields.append((field.name, value))
            if field.name == TOKEN_FIELD and not self._files and not self._verified:
                self._verified = _is_ours(self._request, value)
