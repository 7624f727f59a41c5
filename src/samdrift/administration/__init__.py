"""Operations of an operator on organisations and keys, under dual control."""

from pathlib import Path

LOCALE = Path(__file__).parent / "locale"
"""Catalogue of the checklist's words."""
