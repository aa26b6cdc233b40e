"""What README and docs tell a reader to type exists: commands, options, keys, names, links."""

import importlib.util
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import typer
import yaml

from flows.cli import app

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("setup/*.md"),
        *ROOT.glob("*/README.md"),
    ]
)
PROGRAMS = ("finer1 ", "python -m ", "make ")
PLACEHOLDER = re.compile(r"^[A-Z]$|[A-Z]{2}|\.\.\.|<|[|]")
"""Words that stand for others: NAME, STAGE..., <stage>, [optional], one|other."""
KEY = re.compile(r"[a-z_]+(\.\w+)+")


@cache
def commands_of(page):
    """The commands on a page, without the words that say what they do."""
    text = re.sub(r" *\\\n *", " ", page.read_text())
    found = []
    for line in re.findall(r"^    (\S.*)$", text, re.MULTILINE):
        line = re.split(r"\s+# | {2,}", line.strip())[0]
        found.append(line.removeprefix(".venv/bin/").partition(" && ")[0])
    found += [code.replace("\n", " ") for code in re.findall(r"`([^`]+)`", text)]
    return tuple(dict.fromkeys(c for c in found if c.startswith(PROGRAMS)))


def everything():
    for page in PAGES:
        for command in commands_of(page):
            yield pytest.param(command, id=f"{page.name}: {command}"[:90])


@pytest.mark.parametrize("command", everything())
def test_what_is_to_be_typed_exists(command):
    program, *words = shlex.split(command)
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert words[0] in targets
    elif program == "python":
        module = words[1]
        if module.split(".")[0] in ("flows", "tasks", "finer1", "tests", "benchmarks"):
            assert PLACEHOLDER.search(module) or importlib.util.find_spec(module)
    else:
        check_finer1(words)


def check_finer1(words):
    command, place = typer.main.get_command(app), 0
    while hasattr(command, "commands") and place < len(words):
        assert words[place] in command.commands, f"there is no {' '.join(words[: place + 1])}"
        command, place = command.commands[words[place]], place + 1
    rest = words_of(words[place:])
    options = {name: item for item in command.params for name in (*item.opts, *item.secondary_opts)}
    names = [word.partition("=")[0] for word in rest if word.startswith("-")]
    assert set(names) <= set(options), f"{command.name} has no such option"
    if rest and not any(PLACEHOLDER.search(word) for word in rest):
        command.make_context(command.name, list(rest))  # parses each value by its type
    for option, word in zip(["", *rest], rest, strict=False):
        if option in ("-S", "--set"):
            check_assignment(word)
        elif option not in options or options[option].is_flag:
            check_name(command.name, word)


def words_of(words):
    """Without the brackets around what may be left out; a value in brackets keeps them."""
    return [word if "=" in word and "[" in word[1:] else word.strip("[]") for word in words]


def check_assignment(text):
    key, sign, _ = text.partition("=")
    assert sign, f"-S takes key=value, not {text}"
    value = yaml.safe_load((ROOT / "params.yaml").read_text())
    for part in key.split("."):
        if key == "key" or not isinstance(value, dict) or not value:
            return  # an example's word, or an entry of a mapping of the user's own
        assert part in value, f"params.yaml has no {key}"
        value = value[part]


def check_name(verb, word):
    if word.startswith("-") or PLACEHOLDER.search(word):
        return
    if verb in ("experiments", "compare", "plan"):
        experiments = yaml.safe_load((ROOT / "params.yaml").read_text())["experiments"]
        assert word in experiments, f"there is no experiment {word}"
    elif verb == "run":
        stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
        assert word.partition("@")[0] in stages, f"there is no stage {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http:", "https:")):
            continue
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        assert other.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.*)$", other.read_text(), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads]
            assert anchor in slugs, target


def test_every_verb_has_a_line_in_the_readme():
    verbs = typer.main.get_command(app).commands
    told = " ".join(commands_of(ROOT / "README.md"))
    assert [verb for verb in verbs if f"finer1 {verb}" not in told] == []


def test_the_messages_that_are_explained_are_said():
    table = (ROOT / "docs/trouble.md").read_text().partition("## Not a message")[0]
    told = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    source = " ".join(p.read_text() for room in ("finer1", "flows", "tasks")
                      for p in sorted((ROOT / room).rglob("*.py")))  # fmt: skip
    source = re.sub(r'"\s+f?"', "", source)  # texts of several lines
    assert len(told) > 10
    assert [message for message in told if message not in source] == []
