"""A day of fictitious messages between the organisations of the demonstration."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from samdrift.demo.cast import AGENCY, HABO, MULLSJO, DemoOrganisation
from samdrift.demo.scenario import Party, Progress, pdf, send_and_wait
from samdrift.messageservice.outgoing.compose import Address, Attachment, Draft, compose, reply
from samdrift.wire.sdkmessage import SdkMessage

_STAMP = "day"


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of the day: its sender and recipient, and the earlier letter that it answers, if any."""

    sender: DemoOrganisation
    recipient: DemoOrganisation
    draft: Draft
    answers: int | None = None
    registrar: bool = False
    """True for a message to the recipient's registrar."""


LETTERS = (
    Letter(
        MULLSJO,
        HABO,
        Draft(
            label="Flytt av familj: överlämning av pågående ärende",
            text="Hej,\n\nfamiljen flyttade till Habo den 15:e. Vi har en **pågående utredning** att lämna"
            " över.\n\n* Utredningen inleddes i september\n* Barnet går i årskurs 4\n"
            "* Skolan är informerad\n\nNär kan vi ha ett överlämningsmöte? Utredningsplanen är bifogad.",
            attachments=(
                Attachment(
                    "utredningsplan.pdf",
                    "application/pdf",
                    pdf(
                        [
                            "Utredningsplan",
                            "",
                            "Detta är ett påhittat exempel.",
                            "Ingen verklig person avses.",
                        ]
                    ),
                ),
            ),
        ),
    ),
    Letter(
        HABO,
        MULLSJO,
        Draft(
            label="Sv: Flytt av familj: överlämning av pågående ärende",
            text="Tack, vi tar emot ärendet. Passar **torsdag klockan 10**? Vi ringer er.",
        ),
        answers=0,
    ),
    Letter(
        MULLSJO,
        HABO,
        Draft(
            label="Sv: Flytt av familj: överlämning av pågående ärende",
            text="Torsdag klockan 10 passar bra. Vi är två som deltar.",
        ),
        answers=1,
    ),
    Letter(
        AGENCY,
        HABO,
        Draft(
            label="Begäran om uppgifter inför planeringsmöte",
            text="Vi har ett gemensamt planeringsmöte i nästa vecka och behöver veta om insatsen *daglig"
            " sysselsättning* fortsätter efter årsskiftet.",
        ),
    ),
    Letter(
        AGENCY,
        HABO,
        Draft(
            label="Ändrad kontaktväg till oss",
            text="Från den 1 december når ni oss på den nya funktionsadressen i adressboken. Den gamla"
            " stängs vid årsskiftet.",
            confidentiality=False,
        ),
        registrar=True,
    ),
    Letter(
        MULLSJO,
        AGENCY,
        Draft(
            label="Samtycke till gemensam planering",
            text="Personen har lämnat samtycke. Hör av er när ni har en handläggare på plats.",
        ),
    ),
    Letter(
        HABO,
        AGENCY,
        Draft(
            label="Fråga om beslut om aktivitetsstöd",
            text="Vi behöver beslutsdatum för att kunna räkna på försörjningsstödet för november.",
        ),
    ),
    Letter(
        AGENCY,
        HABO,
        Draft(
            label="Sv: Fråga om beslut om aktivitetsstöd",
            text="Beslutet är fattat den 12 november och gäller från den 1 december.",
        ),
        answers=6,
    ),
)


async def live(parties: dict[DemoOrganisation, Party], folder: Path, progress: Progress) -> None:
    """Send the day's messages, unless an earlier run has; wait until each is accepted by its recipient."""
    stamp = folder / _STAMP
    if stamp.exists():
        return
    progress("a day of messages between the three organisations")
    sent: list[SdkMessage] = []
    for letter in LETTERS:
        sender, recipient = parties[letter.sender], parties[letter.recipient]
        message_id, at = str(uuid.uuid4()), datetime.now(UTC)
        if letter.answers is None:
            to = _address(letter.recipient, registrar=letter.registrar)
            message = compose(letter.draft, sender.address, to, message_id=message_id, at=at)
        else:
            message = reply(letter.draft, sender.address, sent[letter.answers], message_id=message_id, at=at)
        sent.append(message)
        await send_and_wait(sender, recipient, message)
    stamp.touch()


def _address(organisation: DemoOrganisation, *, registrar: bool) -> Address:
    own = organisation.address
    if not registrar:
        return own
    mailbox = f"sdk.registrator.{own.organisation.value}"
    return replace(own, functional_address=mailbox, functional_address_name="Registrator")
