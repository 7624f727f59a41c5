"""Reasons why an installation cannot run, as one line for the person who started it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from os import fspath

from samdrift.config.errors import Unusable, printable
from samdrift.config.inputs import reason
from samdrift.contracts.errors import Explained, Temporary


@contextlib.contextmanager
def reported_as_usage_errors() -> Iterator[None]:
    """Convert expected failures, such as an address in use or a missing file, to :class:`Unusable`."""
    try:
        yield
    except OSError as error:
        where = f"{fspath(error.filename)}: " if isinstance(error.filename, str) else ""
        raise Unusable(printable(where + reason(error))) from None
    except Unusable:
        raise
    except Explained as error:
        raise Unusable(printable(_with_cause(error))) from None


def _with_cause(error: Explained) -> str:
    """Return the text of an error, with the cause of an outage unless the text contains it already."""
    text, cause = str(error), error.cause if isinstance(error, Temporary) else ""
    return f"{text} ({cause})" if cause and cause not in text else text
