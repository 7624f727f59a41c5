"""Pages of mailboxes, conversations and messages, built on a desk. They keep no state between requests.

The ids in their addresses are random: no address contains a word, number or name from a message.
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
    """Return the routes of the mail pages; ``open_desk`` opens the desk of the signed-in person."""
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
    """Return routes with each handler wrapped by the frame, which opens the desk and handles refusals."""
    return tuple(
        Route(
            path,
            frame.form_endpoint(handler) if method == "POST" else frame.page_endpoint(handler),
            methods=[method],
        )
        for method, path, handler in routes
    )
