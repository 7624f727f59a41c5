"""Files on their way into a draft with its form, and in words why one of them is not in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from samdrift.messageclient.desk import MAX_FILES, Changed, Desk, DraftClosed, DraftTaken, NotReady
from samdrift.messageclient.entrance.access import NoRights
from samdrift.messageclient.mail import Draft, ProblemCode
from samdrift.messageclient.pages.handling import version_of
from samdrift.web.application import NotSignedIn
from samdrift.web.forms import Form
from samdrift.web.texts import Phrase
from samdrift.web.uploads import FilePart, FileSink, FormLimits

FILE_PROBLEMS = {
    ProblemCode.EMPTY: Phrase("A file is empty. Choose another one"),
    ProblemCode.TOO_LARGE: Phrase("There is no room for a file: the message would be over 30 MB"),
    ProblemCode.FILE_TYPE: Phrase(
        "A file is of a type that is not accepted in the federation. Choose another one, preferably PDF"
    ),
    ProblemCode.TOO_MANY_FILES: Phrase(
        "A message has at most %(most)s files. Send the others in another message", {"most": str(MAX_FILES)}
    ),
}
"""Reasons for which a file is not in a draft; the draft's own for the same codes are about all of it."""
_MAX_REFUSED = FormLimits().files


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that is not in a draft, and why."""

    code: ProblemCode
    name: str

    def __str__(self) -> str:
        """Return it as a line that its form posts again."""
        return f"{self.code} {self.name}"


def refused_before(form: Form) -> list[Refused]:
    """Return the files that script sent ahead of the form and that were refused, as the form says."""
    lines = (line.partition(" ") for line in form["refused"].split("\n", _MAX_REFUSED)[:_MAX_REFUSED])
    return [Refused(ProblemCode(code), name) for code, _, name in lines if code in FILE_PROBLEMS]


def why_refused(refused: Sequence[Refused]) -> Phrase:
    """Return in words why files are not in a draft: each reason with the files that it is about."""
    reasons = list(dict.fromkeys(one.code for one in refused))
    said = [
        about(FILE_PROBLEMS[code], ", ".join(one.name for one in refused if one.code is code))
        for code in reasons
    ]
    while len(said) > 1:
        first, second, *rest = said
        said = [Phrase("%(first)s. %(second)s", {"first": first, "second": second}), *rest]
    return said[0]


def about(problem: Phrase, what: str) -> Phrase:
    """Return a problem with the file or recipient that it is about, if any."""
    return Phrase("%(problem)s (%(about)s)", {"problem": problem, "about": what}) if what else problem


class Files:
    """Files of one form on their way into a draft. One that is refused is noted, and the form is read on."""

    def __init__(self, desk: Desk, draft: str) -> None:
        self._desk = desk
        self._draft = draft
        self.came = False
        self.kept = 0
        """Number of files that are in the draft now; each has made another version of it."""
        self.refused: list[Refused] = []
        self.passed_over = False
        """There was a file for which the draft could not be changed."""
        self.signed_out = False
        """The session ended while a file was on its way."""
        self.without_rights: NoRights | None = None
        """The person's last right ended meanwhile."""

    def answer(self) -> dict[str, object]:
        """Return what script is to know: whether it is done with the file, and why that was refused."""
        if not self.came:
            return {}
        return {"done": not self.passed_over, "refused": "\n".join(map(str, self.refused))}

    async def open(self, part: FilePart) -> FileSink:
        """Begin to add a file, or pass it over where the draft cannot be changed: saving will say so."""
        self.came = True
        try:
            return _Kept(await self._desk.upload(self._draft, part.name, part.media_type), part.name, self)
        except (DraftTaken, DraftClosed):
            return await self.pass_over(part)

    async def pass_over(self, part: FilePart) -> FileSink:
        """Take a file for which the draft cannot be changed, and keep nothing of it."""
        self.passed_over = True
        return _Kept(None, part.name, self)


class _Kept:
    """A file of :class:`Files`; without a sink the rest of it is passed over."""

    def __init__(self, sink: FileSink | None, name: str, files: Files) -> None:
        self._sink = sink
        self._name = name
        self._files = files

    async def write(self, piece: bytes) -> None:
        """Hand on the next piece."""
        if self._sink is not None:
            try:
                await self._sink.write(piece)
            except NotReady as refusal:
                await self._refuse(refusal)

    async def close(self) -> None:
        """Keep the file, or note that it is refused."""
        if self._sink is not None:
            try:
                await self._sink.close()
                self._files.kept += 1
            except NotReady as refusal:
                await self._refuse(refusal)
            except (Changed, DraftTaken, DraftClosed):  # As saving will say.
                self._files.passed_over = True
                await self.discard()
            except NotSignedIn:
                self._files.signed_out = True
                await self.discard()
            except NoRights as ended:
                self._files.without_rights = ended
                await self.discard()

    async def discard(self) -> None:
        """Forget the file."""
        sink, self._sink = self._sink, None
        if sink is not None:
            await sink.discard()

    async def _refuse(self, refusal: NotReady) -> None:
        self._files.refused += [Refused(problem.code, self._name) for problem in refusal.problems]
        await self.discard()


async def as_it_was(desk: Desk, draft: Draft, form: Form, files: Files) -> Draft:
    """Return a draft in the version that its form knows, with the files that came.

    :class:`Changed` where it was changed elsewhere before they came, or while they did; without files saving
    finds that.
    """
    if not files.came:
        return replace(draft, version=version_of(form))
    now = await desk.draft(draft.id)
    if (version_of(form), now.version) != (draft.version, draft.version + files.kept):
        raise Changed(now.version)
    return now
