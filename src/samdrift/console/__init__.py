"""The operator's console: the state of an installation and of its queues on pages, never any content.

It runs beside the installation, as commands do, with a listener, an origin and a sign-in of its own, so that
it also shows an installation that does not run.
"""

from pathlib import Path

_HERE = Path(__file__).parent
TEMPLATES = _HERE / "templates"
LOCALE = _HERE / "locale"
LISTENER = "console"
"""Name of its listener in the list of what operating sees."""
