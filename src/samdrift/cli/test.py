"""``samdrift test``: a placeholder, since ``./samdrift test`` installs and starts the tests instead.

It exists for the help, and for users of an installed ``samdrift``, which has no tests.
"""

from __future__ import annotations

import typer

from samdrift.config.errors import Unusable

app = typer.Typer(add_completion=False)


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def test() -> None:
    """Run all tests, with the packages that they need; further arguments go to pytest."""
    raise Unusable("the tests are run from a checkout: ./samdrift test")
