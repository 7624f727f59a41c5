"""Pages of mailboxes, conversations and messages, over a desk; they hold nothing between two requests.

Ids in their addresses are random; no word, number or name is in any of them.
"""

from collections.abc import Sequence

from starlette.routing import Route

from samdrift.messageclient.pages.finding import Finding
from samdrift.messageclient.pages.frame import LOCALE, TEMPLATES, Frame, OpenDesk, RouteOf
from samdrift.messageclient.pages.handling import Handling
from samdrift.messageclient.pages.lists import Lists
from samdrift.messageclient.pages.live import LivePages
from samdrift.messageclient.pages.reading import Reading
from samdrift.messageclient.pages.selecting import Selecting
from samdrift.messageclient.pages.sending import Sending
from samdrift.messageclient.pages.writing import Writing
from samdrift.web.pages import Pages

__all__ = ["LOCALE", "TEMPLATES", "OpenDesk", "mail_routes", "routes_of"]


def mail_routes(pages: Pages, open_desk: OpenDesk) -> tuple[Route, ...]:
    """Return the routes; ``open_desk`` opens the desk of the person who is signed in."""
    frame = Frame(pages, open_desk)
    reading = Reading(frame)
    parts = (
        reading,
        Handling(frame, reading),
        Writing(frame),
        Sending(frame),
        Finding(frame),
        LivePages(frame),
        Selecting(frame),
        Lists(frame),
    )
    return tuple(route for part in parts for route in routes_of(frame, part.routes()))


def routes_of(frame: Frame, routes: Sequence[RouteOf]) -> tuple[Route, ...]:
    """Return routes with what the frame does around each handler."""
    return tuple(
        Route(path, frame.posted(handler) if method == "POST" else frame.shown(handler), methods=[method])
        for method, path, handler in routes
    )
