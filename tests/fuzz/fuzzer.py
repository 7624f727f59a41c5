"""Fuzz targets, each in a process forked from this one, which has instrumented the code once.

Started by :mod:`tests.fuzz.run` with our own interpreter and atheris on its path. The arguments are the
number of targets to fuzz at the same time, a folder with one subfolder for each target, and options of
libFuzzer. Afterwards a target's folder contains its result.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from unittest.mock import patch

import atheris
from lxml import etree

from tests.fuzz import keys

keys.fix()
with atheris.instrument_imports(include=["samdrift"]):
    from samdrift.wire.crypto.xmldsig import signature
    from tests.fuzz.targets import PROOF, TARGETS
    from tests.unit.wire import mutation

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)


def main(at_once: int, place: Path, options: list[str]) -> None:
    """Fuzz the targets that have a subfolder in ``place``."""
    running: dict[int, Path] = {}
    waiting = sorted(place.iterdir())
    while waiting or running:
        if waiting and len(running) < at_once:
            folder = waiting.pop()
            child = os.fork()
            if not child:
                _fuzz(folder, options)
            running[child] = folder
        else:
            child, status = os.wait()
            (running.pop(child) / "status").write_text(str(os.waitstatus_to_exitcode(status)))


def _fuzz(folder: Path, options: list[str]) -> None:
    """Write the seeds, then feed inputs until libFuzzer ends the process.

    An argument that is not an option is a file with the only input to use.
    """
    output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    name, corpus, faults = folder.name, folder / "corpus", folder / "faults"
    corpus.mkdir()
    faults.mkdir()
    target = (TARGETS | PROOF)[name]
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)

    def judge(data: bytes) -> None:
        try:
            target.judge(data)
        except BaseException:
            (faults / "exception").write_bytes(data)  # libFuzzer does not always write it
            raise

    shaped = {} if target.shape is None else {"custom_mutator": _mutator(target.shape)}
    with every_signature_holds() if target.trusting else contextlib.nullcontext():
        inputs = [] if any(not option.startswith("-") for option in options) else [str(corpus)]
        atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={faults}/", *inputs], judge, **shaped)
        atheris.Fuzz()


@contextlib.contextmanager
def every_signature_holds() -> Iterator[None]:
    """Treat every readable signature as valid, because none could be made for each input."""
    with (
        patch.object(signature.Signature, "made_by", lambda self, certificate: True),
        patch.object(signature, "_matches", lambda reference, digest: digest is not None),
    ):
        yield


def _mutator(shape: mutation.Format) -> Callable[[bytes, int, int], bytes]:
    """Return a mutator that changes the XML tree half of the time, and bytes otherwise."""

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        rng = Random(seed)
        if rng.random() < 0.5:
            with contextlib.suppress(etree.XMLSyntaxError, ValueError):
                root = mutation.changed(rng, etree.fromstring(data, _PARSER), shape)
                changed = etree.tostring(root.getroottree(), encoding="UTF-8")
                if len(changed) <= most:
                    return changed
        return atheris.Mutate(data, most)

    return mutate


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
