"""Pages from templates: escaped by default, hidden characters made visible, in the person's language.

Templates of this package and of packages that use it have access to the site, the person signed in, a form
token, texts, times and numbers; handlers need not pass these on.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from gettext import NullTranslations
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from samdrift.contracts.clock import Clock
from samdrift.web.assets import STATIC, Assets
from samdrift.web.cookies import LANGUAGE, cookie
from samdrift.web.formats import Formats
from samdrift.web.guards import TOKEN_FIELD, form_token, session_of
from samdrift.web.hostile import visible
from samdrift.web.messagetext import message_text
from samdrift.web.sites import site_of
from samdrift.web.texts import Language, Phrase, Texts, preferred

TEMPLATES = Path(__file__).parent / "templates"
_BANDS = "samdrift.bands"
_WORTH_PACKING = 2_000
_QUICKLY = 4
"""Compression level. Pages contain no secrets except form tokens, which are never the same twice."""
_INDENTATION = re.compile(r"^[ \t]+", re.MULTILINE)


class _Narrow(FileSystemLoader):
    """Template loader that removes indentation, which would only make pages larger."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        source, file, current = super().get_source(environment, template)
        return _INDENTATION.sub("", source), file, current


@dataclass(frozen=True, slots=True)
class Wording:
    """Texts, times and numbers in one person's language, for text that is put together outside a template."""

    formats: Formats
    _translations: NullTranslations

    def text(self, phrase: Phrase) -> str:
        """Return a text in the person's language."""
        return phrase.into(self._translations)


@dataclass(frozen=True, slots=True)
class Band:
    """A notice at the top of every page while something is in progress."""

    text: Phrase
    more: Phrase
    until: datetime


def announce(request: Request, bands: Iterable[Band]) -> None:
    """Show bands on the page that answers a request."""
    request.scope[_BANDS] = tuple(bands)


class Pages:
    """Rendering of pages, for all organisations."""

    def __init__(self, texts: Texts, assets: Assets, clock: Clock, folders: Sequence[Path] = ()) -> None:
        """Load templates; ``folders`` contain further ones, which may extend those of this package."""
        self.assets = assets
        self._texts = texts
        self._clock = clock
        self._environments = {language: self._environment(language, folders) for language in Language}

    def page(self, request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
        """Return a rendered template as the answer to a request."""
        content = self.render(request, template, **context).encode()
        headers = {"vary": "accept-encoding"}
        if len(content) >= _WORTH_PACKING and "gzip" in request.headers.get("accept-encoding", ""):
            content = gzip.compress(content, _QUICKLY, mtime=0)
            headers["content-encoding"] = "gzip"
        return HTMLResponse(content, status, headers)

    def render(self, request: Request, template: str, **context: Any) -> str:
        """Return a rendered template as text, for a part of a page that a script asks for."""
        wording = self.wording(request)
        language, now = wording.formats.language, wording.formats.now
        site, session = site_of(request), session_of(request)
        own = {
            "site": site,
            "person": session.person if session else None,
            "session_ends_in": _seconds(site.sessions.ends(session), now) if session else None,
            "session_whose": site.sessions.whose(session.person) if session else None,
            "session_lasts": _seconds(site.sessions.last(session), now) if session else None,
            "form_token": form_token(request),
            "token_field": TOKEN_FIELD,
            "language": language,
            "formats": wording.formats,
            "here": request.url.path,
            "bands": request.scope.get(_BANDS, ()),
        }
        return self._environments[language].get_template(template).render({**own, **context})

    def wording(self, request: Request) -> Wording:
        """Return the wording in the language of the person."""
        language = language_of(request)
        return Wording(Formats(language, self._clock()), self._texts.of(language))

    def lasting_wording(self, language: Language) -> Wording:
        """Return the wording for text that is stored: in a given language, with full dates."""
        return Wording(Formats(language, self._clock(), lasting=True), self._texts.of(language))

    def _environment(self, language: Language, folders: Sequence[Path]) -> Environment:
        environment = _environment(self._texts.of(language), folders)
        environment.globals["asset"] = self.assets.path
        return environment


def standalone(
    template: str, texts: Texts, language: Language, now: datetime, folder: Path, **context: Any
) -> bytes:
    """Return a page as a self-contained file: its style is embedded (``style``), and it loads nothing."""
    page = _environment(texts.of(language), [folder]).get_template(template)
    style = Markup((STATIC / "style.css").read_text())  # noqa: S704
    own = {"language": language, "formats": Formats(language, now), "style": style}
    return page.render({**own, **context}).encode()


def _environment(translations: NullTranslations, folders: Sequence[Path]) -> Environment:
    environment = Environment(
        loader=_Narrow([TEMPLATES, *folders]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]
    environment.filters["message_text"] = message_text
    environment.filters["initials"] = initials
    environment.filters["phrase"] = lambda phrase: phrase.into(translations)
    return environment


def initials(name: str) -> str:
    """Return the first letters of the first two words of a name: ``AA`` for Anna Andersson."""
    return "".join(word[0] for word in name.replace(",", " ").split()[:2]).upper()


def _shown(value: object) -> object:
    return visible(value) if isinstance(value, str) else value


def _seconds(then: datetime, now: datetime) -> int:
    return max(0, int((then - now).total_seconds()))


def language_of(request: Request) -> Language:
    """Return the language in which to show a page to a person."""
    return preferred(cookie(request, LANGUAGE), request.headers.get("accept-language", ""))
