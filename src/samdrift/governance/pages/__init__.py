"""The pages of governance: what officers, administrators and auditors see, decide and sign."""

from pathlib import Path

_HERE = Path(__file__).parent
TEMPLATES = _HERE / "templates"
LOCALE = _HERE / "locale"
STATIC = _HERE / "static"
