"""Draws mutants by lot; ``python -m tests.mutation.drawing SEED COUNT PACKAGE`` prints one a line, as JSON.
``python -m tests.mutation.drawing`` makes those again that come on standard input, without their code.

Runs with cosmic-ray behind the project's environment. One mutant is drawn for a place
and kind of change, not one for each variant of it, so that ``+`` with its eleven
replacements does not outweigh a condition. Changes that Python itself does not see,
such as ``|`` in an annotation, are no mutants.
"""

from __future__ import annotations

import ast
import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.mutation.targets import SOURCE, TARGETS

_LEFT_OUT = ("core/NoOp", "core/VariableReplacer", "core/VariableInserter", "core/ExceptionReplacer")
"""The last names an exception that does not exist, which any test that comes past it notices."""


class _Bare(ast.NodeTransformer):
    """Removes what no test can see: annotations, and that a class has slots."""

    def visit_FunctionDef(self, node: Any) -> Any:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: Any) -> Any:
        return self.visit_FunctionDef(node)

    def visit_arg(self, node: ast.arg) -> Any:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> Any:
        return None if node.arg == "slots" else self.generic_visit(node)


def bare(code: str) -> str:
    """Return what is left of a module for Python to run, in a form that compares."""
    return ast.dump(_Bare().visit(ast.parse(code)))


def _kind(operator: str) -> str:
    """The kind of change: all replacements of one operator are one kind."""
    name = operator.partition("/")[2]
    return name.rpartition("_")[0] if name.startswith("Replace") and name.count("_") > 1 else name


def draw(package: str, count: int, rng: random.Random) -> list[dict[str, Any]]:
    """Return mutants of a package, in the order of the lot; fewer when there are not as many."""
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code

    operators = {name: plugins.get_operator(name) for name in plugins.operator_names()}
    places: dict[tuple[str, str, Any], list[tuple[str, int]]] = defaultdict(list)
    for module in TARGETS[package].modules():
        tree = get_ast(module.read_text())
        for name, operator in sorted(operators.items()):
            if name in _LEFT_OUT or operator.arguments():
                continue
            found = (at for node in ast_nodes(tree) for at in operator().mutation_positions(node))
            for occurrence, (start, _) in enumerate(found):
                places[str(module.relative_to(SOURCE)), _kind(name), start].append((name, occurrence))
    drawn: list[dict[str, Any]] = []
    for file, kind, start in rng.sample(sorted(places), len(places)):
        if len(drawn) == count:
            break
        name, occurrence = rng.choice(places[file, kind, start])
        code = (SOURCE / file).read_text()
        mutated = mutate_code(code, operators[name](), occurrence)
        if mutated is None or not _changes(code, mutated):
            continue
        drawn.append(
            {"package": package, "file": file, "line": start[0], "operator": name, "code": mutated}
            | _lines(code, mutated)
        )
    return drawn


def remade(mutants: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Make mutants of an earlier draw, wherever their lines are now; where a line is gone, there is none."""
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code

    for mutant in mutants:
        code = (SOURCE / mutant["file"]).read_text()
        operator = plugins.get_operator(mutant["operator"])()
        positions = [at for node in ast_nodes(get_ast(code)) for at in operator.mutation_positions(node)]
        lines = [start[0] for start, _ in positions]
        for occurrence in sorted(range(len(lines)), key=lambda each: abs(lines[each] - mutant["line"])):
            mutated = mutate_code(code, operator, occurrence)
            if mutated and mutated != code and _lines(code, mutated).items() <= mutant.items():
                yield mutant | {"line": lines[occurrence], "code": mutated}
                break


def _changes(code: str, mutated: str) -> bool:
    try:
        return bare(code) != bare(mutated)
    except SyntaxError:
        return False


def _lines(code: str, mutated: str) -> dict[str, str]:
    """The first line that differs, before and after."""
    before, after = code.splitlines(), mutated.splitlines()
    at = next(place for place, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1])
    return {"before": before[at].strip(), "after": after[at].strip()}


def main() -> None:
    if not sys.argv[1:]:
        for mutant in remade(map(json.loads, sys.stdin)):
            print(json.dumps(mutant), flush=True)
        return
    seed, count, package = sys.argv[1:]
    for mutant in draw(package, int(count), random.Random(f"{seed}/{package}")):
        print(json.dumps(mutant))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()
