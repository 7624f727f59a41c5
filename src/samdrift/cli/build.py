"""``samdrift build``: a placeholder, since ``./samdrift build`` runs ``release/build.py`` instead.

It exists for the help, and for users of an installed ``samdrift``, which has nothing to build.
"""

from __future__ import annotations

import typer

from samdrift.config.errors import Unusable

app = typer.Typer(add_completion=False)


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def build() -> None:
    """Build the parts of a release: wheel FOLDER, bom FOLDER, docs FOLDER, audit FOLDER."""
    raise Unusable("a release is built from a checkout: ./samdrift build")
