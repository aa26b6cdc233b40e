"""The strict rule as source text that needs nothing but Python, taken from where it is defined.

A task folder for lmms-eval must score as this project does, on a machine that does not have it; a
second copy of the rule would drift.
"""

import ast
from pathlib import Path

from finer1 import prompts
from finer1.evaluation import answers

_ENTRANCES = ("is_exact", "parse_completion")
_MODULES = (prompts, answers)
"""Where they and all that they use are defined."""


def strict_rule_source() -> str:
    """Python source of is_exact and parse_completion with every name that they use."""
    statements: dict[str, tuple[int, int, str]] = {}
    imports: dict[str, str] = {}
    for order, module in enumerate(_MODULES):
        text = Path(str(module.__file__)).read_text(encoding="utf-8")
        for node in ast.parse(text).body:
            source = _source(text, node)
            for name in _defined(node):
                assert name not in statements or name.startswith("_"), f"{name} is defined twice"
                statements.setdefault(name, (order, node.lineno, source))
            imports |= _imported(node)
    needed = _closure(statements)
    used = {name for source in needed for name in _names(source)}
    lines = sorted({imports[name] for name in used if name in imports})
    return "\n".join([*lines, "", "\n\n".join(needed)]) + "\n"


def _closure(statements: dict[str, tuple[int, int, str]]) -> list[str]:
    """The statements that define the entrances and what they use, in the order of their files."""
    found: set[str] = set()
    open_names = list(_ENTRANCES)
    while open_names:
        name = open_names.pop()
        if name in statements and name not in found:
            found.add(name)
            open_names += _names(statements[name][2])
    return [source for _, _, source in sorted({statements[name] for name in found})]


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []


def _imported(node: ast.stmt) -> dict[str, str]:
    """Name -> the line that imports it, of modules outside this project."""
    if isinstance(node, ast.Import):
        return {alias.name: f"import {alias.name}" for alias in node.names}
    if isinstance(node, ast.ImportFrom) and not str(node.module).startswith("finer1"):
        return {alias.name: f"from {node.module} import {alias.name}" for alias in node.names}
    return {}


def _names(source: str) -> list[str]:
    return [node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)]


def _source(text: str, node: ast.stmt) -> str:
    """The statement's text, its decorators included."""
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
    first = min([node.lineno, *(item.lineno for item in decorators)])
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
