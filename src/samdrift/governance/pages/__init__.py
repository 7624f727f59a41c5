"""The pages of governance, on which officers, administrators and auditors view, decide and sign."""

from pathlib import Path

_HERE = Path(__file__).parent
TEMPLATES = _HERE / "templates"
LOCALE = _HERE / "locale"
STATIC = _HERE / "static"
