"""A finding of validation: one violated rule, in the form that a receipt can contain."""

from __future__ import annotations

from dataclasses import dataclass

from samdrift.wire.codes import Reason


@dataclass(frozen=True, slots=True)
class Finding:
    """One violated rule.

    ``detail`` is one of :class:`samdrift.wire.codes.Detail` in our own findings; another organisation's
    receipt may contain any code, or none (""). ``text`` describes the fault and never repeats content of the
    message (content-specification 4.3.2, label). ``path`` is an XPath of names, or ``NA`` (message-receipt
    3.1 g).
    """

    reason: Reason
    detail: str
    text: str
    path: str = "NA"
