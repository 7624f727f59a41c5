"""Files that are uploaded into a draft together with its form, and the reasons why some are refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from samdrift.messageclient.desk import (
    MAX_FILES,
    Changed,
    Desk,
    DraftClosed,
    DraftTaken,
    NotHere,
    NotReady,
)
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
"""Texts for refused files. The same codes have other texts when the problem concerns the draft as a whole."""
_MAX_REFUSED = FormLimits().files


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that was refused for a draft, and the reason."""

    code: ProblemCode
    name: str

    def __str__(self) -> str:
        """Return the refusal as a line of a form field, which :func:`refused_before` reads back."""
        return f"{self.code} {self.name}"


def refused_before(form: Form) -> list[Refused]:
    """Return the files, listed in the form, that were refused when the script sent them ahead of it."""
    lines = (line.partition(" ") for line in form["refused"].split("\n", _MAX_REFUSED)[:_MAX_REFUSED])
    return [Refused(ProblemCode(code), name) for code, _, name in lines if code in FILE_PROBLEMS]


def why_refused(refused: Sequence[Refused]) -> Phrase:
    """Return a text that explains why files were refused: each reason with the names of its files."""
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
    """Return the text of a problem with the file or recipient that it concerns, if any."""
    return Phrase("%(problem)s (%(about)s)", {"problem": problem, "about": what}) if what else problem


class Files:
    """Receiver for the files of one form. A refused file is noted, and the rest of the form is still read."""

    def __init__(self, desk: Desk, draft: str) -> None:
        self._desk = desk
        self._draft = draft
        self.came = False
        self.kept = 0
        """Number of files added to the draft; each has created a new version of it."""
        self.refused: list[Refused] = []
        self.passed_over = False
        """True if a file was skipped because the draft could not be changed."""
        self.signed_out = False
        """True if the session ended while a file was being uploaded."""
        self.without_rights: NoRights | None = None
        """Refusal that was raised because the person's last right ended during the upload."""

    def answer(self) -> dict[str, object]:
        """Return a result for the script: whether a file was dealt with, and why any was refused."""
        if not self.came:
            return {}
        return {"done": not self.passed_over, "refused": "\n".join(map(str, self.refused))}

    async def open(self, part: FilePart) -> FileSink:
        """Start adding a file, or skip it if the draft cannot be changed; saving then reports that."""
        self.came = True
        try:
            return _Kept(await self._desk.upload(self._draft, part.name, part.media_type), part.name, self)
        except (DraftTaken, DraftClosed, NotHere):
            return await self.pass_over(part)

    async def pass_over(self, part: FilePart) -> FileSink:
        """Read a file without keeping any of it, because the draft cannot be changed."""
        self.passed_over = True
        return _Kept(None, part.name, self)


class _Kept:
    """One file that :class:`Files` is receiving; without a sink its content is read and dropped."""

    def __init__(self, sink: FileSink | None, name: str, files: Files) -> None:
        self._sink = sink
        self._name = name
        self._files = files

    async def write(self, piece: bytes) -> None:
        """Pass on the next piece."""
        if self._sink is not None:
            try:
                await self._sink.write(piece)
            except NotReady as refusal:
                await self._refuse(refusal)

    async def close(self) -> None:
        """Finish the file, or note why it was refused."""
        if self._sink is not None:
            try:
                await self._sink.close()
                self._files.kept += 1
            except NotReady as refusal:
                await self._refuse(refusal)
            except (Changed, DraftTaken, DraftClosed, NotHere):  # Saving the draft will report this too.
                self._files.passed_over = True
                await self.discard()
            except NotSignedIn:
                self._files.signed_out = True
                await self.discard()
            except NoRights as ended:
                self._files.without_rights = ended
                await self.discard()

    async def discard(self) -> None:
        """Drop the file."""
        sink, self._sink = self._sink, None
        if sink is not None:
            await sink.discard()

    async def _refuse(self, refusal: NotReady) -> None:
        self._files.refused += [Refused(problem.code, self._name) for problem in refusal.problems]
        await self.discard()


async def with_uploaded_files(desk: Desk, draft: Draft, form: Form, files: Files) -> Draft:
    """Return a draft at the version that its form was made for, including the files that came with it.

    Raises :class:`Changed` if the draft was changed elsewhere before or while the files arrived. Without
    files, saving the draft detects that.
    """
    if not files.came:
        return replace(draft, version=version_of(form))
    now = await desk.draft(draft.id)
    if (version_of(form), now.version) != (draft.version, draft.version + files.kept):
        raise Changed(now.version)
    return now
