"""Fuzzes one target in this process, which ends with it: target, folders of seeds and faults, options.

Started by :mod:`tests.fuzz.run` with our own interpreter and atheris on its path. The options
are libFuzzer's.
"""

from __future__ import annotations

import contextlib
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
    from samdrift.wire.xmldsig import signature
    from tests.fuzz.targets import PROOF, TARGETS
    from tests.unit.wire import mutation

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)


def main(name: str, corpus: Path, faults: Path, options: list[str]) -> None:
    """Write the seeds into ``corpus``, then feed inputs until libFuzzer ends the process.

    An option that is no option is a file, the one input to give.
    """
    target = (TARGETS | PROOF)[name]
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)

    def judge(data: bytes) -> None:
        try:
            target.judge(data)
        except BaseException:
            (faults / "exception").write_bytes(data)  # libFuzzer does not always get to it
            raise

    shaped = {} if target.shape is None else {"custom_mutator": _mutator(target.shape)}
    with every_signature_holds() if target.trusting else contextlib.nullcontext():
        inputs = [] if any(not option.startswith("-") for option in options) else [str(corpus)]
        atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={faults}/", *inputs], judge, **shaped)
        atheris.Fuzz()


@contextlib.contextmanager
def every_signature_holds() -> Iterator[None]:
    """Nobody could make a signature for each input: here all that can be read are good."""
    with (
        patch.object(signature.Signature, "made_by", lambda self, certificate: True),
        patch.object(signature, "_matches", lambda reference, digest: digest is not None),
    ):
        yield


def _mutator(shape: mutation.Format) -> Callable[[bytes, int, int], bytes]:
    """Every second time a change of the tree, else one of the bytes."""

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
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
