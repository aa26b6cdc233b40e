"""Which project files a module's import pulls in, found without importing anything."""

import ast
from pathlib import Path

ROOMS = ("finer1", "tasks", "flows")


def imported_modules(path: Path) -> set[str]:
    """Dotted names in all import statements of a file, those inside functions too.

    `from a.b import c` gives both `a.b` and `a.b.c`, since c may be a module.
    """
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def project_files(path: Path, root: Path) -> set[Path]:
    """Project files that `path` imports itself, relative to `root`; packages' `__init__` too."""
    files: set[Path] = set()
    for name in imported_modules(root / path):
        parts = name.split(".")
        if parts[0] not in ROOMS:
            continue
        for depth in range(1, len(parts) + 1):
            place = Path(*parts[:depth])
            for candidate in (place / "__init__.py", place.with_suffix(".py")):
                if (root / candidate).is_file():
                    files.add(candidate)
    return files


def import_closure(start: set[Path], root: Path) -> set[Path]:
    """`start` and every project file that they import, directly or not."""
    reached: set[Path] = set()
    waiting = list(start)
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += project_files(path, root) - reached
    return reached
