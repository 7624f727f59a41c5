"""`samdrift gov operator-view`: data of an organisation that the operator sees without its consent."""

from __future__ import annotations

from typing import Annotated

import typer

from samdrift.cli.org.options import AsJson
from samdrift.cli.output import print_json, print_text
from samdrift.config.errors import Unusable
from samdrift.governance.operatorview import lines, page


def operator_view(
    language: Annotated[str, typer.Option("--language", help="sv or en.")] = "en", as_json: AsJson = False
) -> None:
    """Print what the operator sees of an organisation without consent: by commands, routes, metrics, log.

    For each item it states whether it opens a vault, and in which log that is recorded. The output is
    Markdown; no installation is needed.
    """
    if language not in ("sv", "en"):
        raise Unusable("--language must be sv or en")
    if as_json:
        print_json({"lines": [each.document() for each in lines()]})
    else:
        print_text(page(language))
