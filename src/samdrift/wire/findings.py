"""A finding of validation: one broken rule, in the form that a receipt can carry."""

from __future__ import annotations

from dataclasses import dataclass

from samdrift.wire.codes import Reason


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule.

    ``detail`` is one of :class:`samdrift.wire.codes.Detail` in what we find
    ourselves; another organisation's receipt may carry any code, or none ("").
    ``text`` says what is wrong and never repeats content of the message
    (content-specification 4.3.2, label). ``path`` is an XPath of names, or
    ``NA`` (message-receipt 3.1 g).
    """

    reason: Reason
    detail: str
    text: str
    path: str = "NA"
