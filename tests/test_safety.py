"""What no module of the project may do, found by reading the code: run what a file brings along."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    path.relative_to(ROOT)
    for room in ("finer1", "tasks", "flows", "benchmarks")
    for path in (ROOT / room).rglob("*.py")
)
_RUNS_CODE = re.compile(
    r"torch\.(load|save|jit\.load)|eval|exec|os\.(system|popen)|marshal\.loads?"
    r"|(c?[pP]ickle|dill|joblib|cloudpickle|shelve)\.\w+|Unpickler"
    r"|np\.load|numpy\.load|yaml\.(unsafe_load|full_load)(_all)?|Autoescape|Environment"
)
"""Calls that run what a file or text says, or that can; and templates, which need a look."""
_WITH = {
    "Environment": "autoescape=True",
    "np.load": "allow_pickle=False",
    "yaml.load": "Loader",
}
"""Of those, the ones that are harmless with this argument."""
_WORTH_A_LOOK = re.compile(
    r"torch\.|\beval\(|\bexec\(|os\.(system|popen)|marshal|[pP]ickle|dill|joblib|shelve"
    r"|\.load\(|unsafe_load|full_load|Environment\(|shell=|trust_remote_code|from_pretrained"
)
_MODEL = re.compile(r"(Auto(?!Tokenizer|Processor|Config)\w+|\w+ForConditionalGeneration)"
                    r"\.from_pretrained")  # fmt: skip


def calls(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)) if _WORTH_A_LOOK.search(text) else ():
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {w.arg: ast.unparse(w.value) for w in node.keywords}, node


def suspects(path):
    """Calls in the module that may run what they are given."""
    for name, words, node in calls(path):
        given = {f"{key}={value}" for key, value in words.items()}
        if words.get("shell") == "True" or words.get("trust_remote_code", "False") != "False":
            yield ast.unparse(node)
        if _RUNS_CODE.fullmatch(name) and _WITH.get(name) not in given:
            yield ast.unparse(node)
        if name == "yaml.load" and "_PlainValues" not in ast.unparse(node):
            yield ast.unparse(node)
        if _MODEL.fullmatch(name) and words.get("use_safetensors") != "True":
            yield ast.unparse(node)


def test_no_module_runs_what_a_file_brings_along():
    assert len(MODULES) > 300
    found = {str(path): list(suspects(path)) for path in MODULES}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=True)",
        "pickle.loads(data)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "eval(text)",
        "subprocess.run(line, shell=True)",
        "AutoModel.from_pretrained(folder, trust_remote_code=True, use_safetensors=True)",
        "AutoModel.from_pretrained(folder, trust_remote_code=trusted, use_safetensors=True)",
        "AutoModel.from_pretrained(folder, trust_remote_code=False)",
        "yaml.load(text, yaml.Loader)",
        "Environment(loader=FileSystemLoader(folder))",
    ],
)
def test_the_gate_sees_what_it_is_there_for(tmp_path, line):
    (tmp_path / "module.py").write_text(line)
    assert len(list(suspects(tmp_path / "module.py"))) == 1
