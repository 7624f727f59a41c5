"""Administration pages: mailboxes, text templates, figures, message service, log, accessibility statement.

Administrators, managers of mailboxes and security officers each see their part; none gains access to content.
"""

from starlette.routing import Route

from samdrift.messageclient.administering.accessibility import accessibility_route
from samdrift.messageclient.administering.frame import LOCALE, TEMPLATES, Frame, Office, OpenOffice, sections
from samdrift.messageclient.administering.log import Log
from samdrift.messageclient.administering.mailboxes import Mailboxes
from samdrift.messageclient.administering.service import Profile, Profiles, Service
from samdrift.web.pages import Pages

__all__ = [
    "LOCALE",
    "TEMPLATES",
    "Office",
    "OpenOffice",
    "Profile",
    "Profiles",
    "administration_routes",
    "sections",
]


def administration_routes(pages: Pages, open_office: OpenOffice, profiles: Profiles) -> tuple[Route, ...]:
    """Return the routes; ``open_office`` opens the administrative scope of the signed-in person."""
    frame = Frame(pages, open_office)
    parts = (Mailboxes(frame), Service(frame, profiles), Log(frame))
    return (
        accessibility_route(pages),
        *(
            Route(
                path,
                frame.form_endpoint(handler) if method == "POST" else frame.page_endpoint(handler),
                methods=[method],
            )
            for part in parts
            for method, path, handler in part.routes()
        ),
    )
