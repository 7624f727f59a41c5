"""`samdrift gov duty`: the catalogue of duties, with the official sentences if their texts are available."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.cli.inputs import read_input
from samdrift.cli.org.options import AsJson
from samdrift.cli.output import print_json, print_line
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.governance.duties.catalogue import (
    MAX_BYTES,
    Catalogue,
    CatalogueUnfit,
    Changes,
    Duty,
    Evidence,
    Text,
    shipped,
)
from samdrift.governance.duties.officialtexts import Folder

app = typer.Typer(add_completion=False, no_args_is_help=True)

CatalogueFile = Annotated[
    Path | None,
    typer.Option("--catalogue", help="A catalogue to use in place of the one in this version."),
]
Texts = Annotated[
    Path | None,
    typer.Option("--texts", help="A folder with DIGG's texts, whose sentences are shown next to the duties."),
]
Language = Annotated[str, typer.Option("--language", help="sv or en.")]


@app.callback()
def duty() -> None:
    """Show the duties of the organisation, its suppliers and theirs, under DIGG's rulebooks and the law."""


@app.command("list")
def list_duties(
    source: Annotated[str, typer.Option(help="Only those of one source, like apr or rek.")] = "",
    catalogue: CatalogueFile = None,
    language: Language = "sv",
    as_json: AsJson = False,
) -> None:
    """Show every duty of the catalogue, one per line."""
    with reported_as_usage_errors():
        used = read(catalogue)
    _check_language(language)
    if source and source not in used.sources:
        raise Unusable(f"--source must be one of {', '.join(used.sources)}")
    found = [each for each in used.duties.values() if source in ("", each.source.key)]
    if as_json:
        print_json({"catalogue": used.label, "duties": [_document(each) for each in found]})
        return
    for each in found:
        seen = "" if each.seen else "  (seen: no)"
        print_line(f"{each.id:16}  {each.level:10}  {each.says.of(language)}{seen}")


@app.command("show")
def show(
    named: Annotated[str, typer.Argument(metavar="DUTY", help="A duty, like sdk-5.1-spar.")],
    texts: Texts = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    """Show one duty in both languages, and the official sentence if the folder contains it."""
    with reported_as_usage_errors():
        used = read(catalogue)
        if named not in used.duties:
            raise Unusable(f"DUTY: there is no such duty in {used.label}")
        found = used.duties[named]
        official = _official(found, texts)
    if as_json:
        print_json({"catalogue": used.label, **_document(found), "official": official})
        return
    print_line(f"{found.id}: {found.reference}")
    print_line(f"seen: {'yes' if found.seen else 'no'}")
    for name, text in _texts(found).items():
        if text is not None:
            print_line(f"{name}: {text.sv}")
            print_line(f"{' ' * len(name)}  {text.en}")
    print_line(f"binds: {', '.join(found.bound)} ({found.level})")
    functions = ", ".join(sorted(found.functions))
    print_line(f"passed on: {found.pass_on.value}{f' ({functions})' if functions else ''}")
    for collected in found.collectors:
        print_line(f"collected: {collected.collector}, at most {_age(collected)} old")
    for successor in found.replaced_by:
        print_line(f"replaced by: {successor}")
    print_line(f"official text: {official['text'] or official['state']}")


@app.command("diff")
def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A catalogue of duties (JSON).")],
    new: Annotated[
        Path | None, typer.Argument(metavar="[NEW]", help="A later catalogue; by default the one in use.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Show changes from one catalogue to another: duties that were added, removed or reworded.

    A removed duty stays in force for an organisation until two of its officers release it. Exit status 1 if
    there is a difference.
    """
    with reported_as_usage_errors():
        before, after = read(old), read(new)
    changes = Changes.between(before, after)
    if as_json:
        print_json(
            {
                "old": before.label,
                "new": after.label,
                "added": list(changes.added),
                "vanished": list(changes.vanished),
                "altered": {key: list(names) for key, names in changes.altered.items()},
            }
        )
    else:
        for key in changes.added:
            print_line(f"new       {key}: {after.duties[key].says.sv}")
        for key in changes.vanished:
            print_line(f"vanished  {key}: {before.duties[key].says.sv}")
        for key, names in changes.altered.items():
            print_line(f"altered   {key}: {', '.join(names)}")
    return int(bool(changes.added or changes.vanished or changes.altered))


def read(file: Path | None) -> Catalogue:
    """Return the catalogue in a file, or the newest one that comes with this version."""
    if file is None:
        return shipped()[-1]
    try:
        return Catalogue.read(read_input(file, MAX_BYTES))
    except CatalogueUnfit as error:
        raise Unusable(f"{shown(file)}: {error}") from None


def _age(evidence: Evidence) -> str:
    hours = int(evidence.fresh.total_seconds() // 3600)
    return f"{hours // 24} d" if hours % 24 == 0 else f"{hours} h"


def _check_language(language: str) -> None:
    if language not in ("sv", "en"):
        raise Unusable("--language must be sv or en")


def _official(duty: Duty, texts: Path | None) -> dict[str, Any]:
    """Return the official sentence, or the reason why it is not shown."""
    if duty.passage is None:
        return {"state": "not seen", "text": None}
    if texts is None:
        return {"state": "no folder with texts", "text": None}
    folder = Folder(texts)
    if duty.source.text not in folder:
        return {"state": "not in the folder", "text": None}
    found = folder.sentence(duty.source.text, "" if duty.source.quotes else duty.section, duty.passage)
    if found is None:
        return {"state": "the folder has another edition", "text": None}
    return {"state": "found" if found.in_section else "in another section", "text": found.text}


def _texts(duty: Duty) -> dict[str, Text | None]:
    return {"says": duty.says, "control": duty.control, "evidence": duty.evidence, "people": duty.people}


def _document(duty: Duty) -> dict[str, Any]:
    return {
        "id": duty.id,
        "source": duty.source.key,
        "title": duty.source.title,
        "version": duty.source.version,
        "section": duty.section,
        "label": duty.label,
        "level": duty.level,
        "bound": list(duty.bound),
        "functions": sorted(duty.functions),
        "pass_on": duty.pass_on.value,
        **{
            name: None if text is None else {"sv": text.sv, "en": text.en}
            for name, text in _texts(duty).items()
        },
        "collectors": [
            {"collector": each.collector, "fresh_seconds": int(each.fresh.total_seconds())}
            for each in duty.collectors
        ],
        "seen": duty.seen,
        "replaced_by": list(duty.replaced_by),
    }
