"""Operations of an operator on organisations and keys, including dual control."""

from pathlib import Path

LOCALE = Path(__file__).parent / "locale"
"""Folder of the translations of the checklist's texts."""
