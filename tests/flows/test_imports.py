from pathlib import Path

from flows.imports import import_closure


def test_the_closure_follows_imports_inside_functions(tmp_path):
    (tmp_path / "finer1").mkdir()
    (tmp_path / "finer1/__init__.py").write_text("")
    (tmp_path / "finer1/a.py").write_text("def f():\n    from finer1.b import g\n")
    (tmp_path / "finer1/b.py").write_text("import json\nfrom finer1 import c\n")
    (tmp_path / "finer1/c.py").write_text("")
    (tmp_path / "finer1/d.py").write_text("")
    assert import_closure({Path("finer1/a.py")}, tmp_path) == {
        Path("finer1/__init__.py"),
        Path("finer1/a.py"),
        Path("finer1/b.py"),
        Path("finer1/c.py"),
    }
