"""The operator's console: pages on the state of an installation and its queues, without any content.

It runs next to the installation, as commands do, with its own listener, origin and sign-in, so it also shows
an installation that is not running.
"""

from pathlib import Path

_HERE = Path(__file__).parent
TEMPLATES = _HERE / "templates"
LOCALE = _HERE / "locale"
LISTENER = "console"
"""Name of the console's listener in the list of what operating sees."""
