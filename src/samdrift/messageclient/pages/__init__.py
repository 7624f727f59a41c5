"""Pages of mailboxes, conversations and messages, over a desk; they hold nothing between two requests.

Ids in their addresses are random; no word, number or name is in any of them.
"""

from starlette.routing import Route

from samdrift.messageclient.pages.access import AccessPages
from samdrift.messageclient.pages.finding import Finding
from samdrift.messageclient.pages.frame import LOCALE, TEMPLATES, Frame, Manning, OpenDesk, ReadersOf
from samdrift.messageclient.pages.handling import Handling
from samdrift.messageclient.pages.reading import Reading
from samdrift.messageclient.pages.sending import Sending
from samdrift.messageclient.pages.writing import Writing
from samdrift.web.pages import Pages

__all__ = ["LOCALE", "TEMPLATES", "Manning", "OpenDesk", "ReadersOf", "mail_routes"]


def mail_routes(pages: Pages, open_desk: OpenDesk, readers_of: ReadersOf) -> tuple[Route, ...]:
    """Return the routes; ``open_desk`` opens the desk of the person who is signed in, and ``readers_of``
    tells who has rights to a mailbox.
    """
    frame = Frame(pages, open_desk)
    reading = Reading(frame)
    parts = (
        AccessPages(frame, readers_of),
        reading,
        Handling(frame, reading),
        Writing(frame),
        Sending(frame),
        Finding(frame),
    )
    return tuple(
        Route(path, frame.posted(handler) if method == "POST" else frame.shown(handler), methods=[method])
        for part in parts
        for method, path, handler in part.routes()
    )
