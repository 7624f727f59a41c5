"""Passphrases that a person chooses: which ones are refused, and why.

A passphrase is the only thing that keeps a reader of the key store's files from agreeing
in a custodian's name, or from opening what an officer has locked. It is judged by the
characters that do not follow from the ones before them, without words that everybody tries.
That is a floor and no measure of strength: a sentence of one's own is far above it.
"""

from __future__ import annotations

import re

SHORTEST = 12
"""Characters of a passphrase."""
MAX_CHARACTERS = 1024
_UNPREDICTABLE = 8
"""Characters that neither repeat nor continue what precedes them, without obvious words."""

_SEQUENCES = (
    "abcdefghijklmnopqrstuvwxyzåäö",
    "01234567890",
    "qwertyuiopå",
    "asdfghjklöä",
    "zxcvbnm",
)
_OBVIOUS = (
    *(
        "password",
        "passphrase",
        "passord",
        "lösenord",
        "losenord",
        "lösenfras",
        "losenfras",
        "secret",
        "hemligt",
    ),
    *(
        "hemlig",
        "qwerty",
        "administrator",
        "admin",
        "welcome",
        "välkommen",
        "valkommen",
        "letmein",
        "changeme",
    ),
    *("change me", "iloveyou", "jagälskardig", "dragon", "monkey", "football", "fotboll", "sommar", "vinter"),
    *("höst", "vår", "summer", "winter", "samdrift", "sdk", "custodian", "operator", "officer", "kommun"),
    *("region", "correct horse battery staple", "correcthorsebatterystaple", "default", "master", "test"),
    *("hejsan", "sverige", "sweden", "stockholm", "januari", "februari", "september", "oktober", "november"),
)
_LOOKALIKES = tuple(str.maketrans("013457@$!", letters) for letters in ("oleastasi", "oieastasi"))


def weakness(passphrase: str, *own: str) -> str | None:
    """Return why a new passphrase is refused, as a sentence; ``None`` where it is not.

    ``own`` are names that anybody would try first: the person's, the organisation's.
    """
    if len(passphrase) < SHORTEST:
        return f"the passphrase has fewer than {SHORTEST} characters"
    if len(passphrase) > MAX_CHARACTERS:
        return f"the passphrase has more than {MAX_CHARACTERS} characters"
    text = passphrase.casefold()
    if _unpredictable(_period(text)) < _UNPREDICTABLE:
        return "the passphrase repeats itself, or follows the alphabet, digits or keyboard: take a sentence"
    words = [
        *_OBVIOUS,
        *(part for name in own for part in re.split(r"[^\w]+", name.casefold()) if len(part) > 1),
    ]
    left = min(_unpredictable(_period(_without(each, words))) for each in _readings(text))
    if left < _UNPREDICTABLE:
        return (
            "the passphrase is made of words or names that everybody tries first: take a sentence of your own"
        )
    return None


def _readings(text: str) -> tuple[str, ...]:
    """The text as it is, and with digits and signs read as the letters that they look like."""
    return text, *(text.translate(each) for each in _LOOKALIKES)


def _without(text: str, words: list[str]) -> str:
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, "")
    return text


def _period(text: str) -> str:
    """The shortest beginning of which the text is a repetition, whole or broken off."""
    for length in range(1, len(text) // 2 + 1):
        if (text[:length] * (len(text) // length + 1))[: len(text)] == text:
            return text[:length]
    return text


def _unpredictable(text: str) -> int:
    return sum(not _follows(before, each) for before, each in zip(f"\0{text}", text, strict=False))


def _follows(before: str, character: str) -> bool:
    pair = before + character
    return before == character or any(pair in row or pair in row[::-1] for row in _SEQUENCES)
