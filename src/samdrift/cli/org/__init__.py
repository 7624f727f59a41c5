"""`samdrift org`: the organisations of an installation, from their first day to their last.

One module for each thing that can be done; this one puts them together.
"""

from __future__ import annotations

import typer

from samdrift.cli.org import adding, closing, hsm, keys, listing, locking, moving, signin, state, unpacking

app = typer.Typer(add_completion=False)


@app.callback()
def org() -> None:
    """Add, examine, suspend, move and close organisations."""


app.command("add")(adding.add)
app.command("show")(adding.show)
app.command("list")(listing.list_organisations)
app.command("suspend")(state.suspend)
app.command("resume")(state.resume)
app.command("export")(moving.export_organisation)
app.command("import")(moving.import_organisation)
app.command("unpack")(unpacking.unpack_export)
app.command("close")(closing.close_organisation)
app.command("verify-closing")(closing.verify_closing)
app.command("lock")(locking.lock)
app.command("unlock")(locking.unlock)
app.command("use-hsm")(hsm.use_hsm)
app.command("use-token", hidden=True)(hsm.use_token)
app.add_typer(keys.app, name="keys")
app.add_typer(signin.app, name="sign-in")
