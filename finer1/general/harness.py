"""lmms-eval as a process of its own: is it there, the exact command, its output, its end.

lmms-eval catches its own errors and exits with 0, so that only a results file says it is done.
"""

import importlib.metadata
import importlib.util
import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from finer1.general.benchmarks import RESULTS
from finer1.general.plugin import NAME
from finer1.lifetime import dying_with_parent
from finer1.zoo.loading import AskedModel

VERSION = "0.7.3"
"""The wheels before it lack the task files (EvolvingLMMs-Lab/lmms-eval#1215, #1350)."""
INSTALL = "install it: .venv/bin/pip install --no-deps -r setup/lmms.txt"
REASONING_TAGS = (("<think>", "<answer>"), ("</answer>", "</answer>"), ("<think>", "</think>"))
"""What lmms-eval cuts out before it reads an answer: all up to the answer element, its closing tag,
and, without an answer element, the reasoning. Its own default would leave <answer>B</answer>, which
its rules for letters and yes or no do not take."""
PAUSE_S = 30.0
"""Seconds between the lines of a progress bar that are handed on."""
_BATCH_SIZE = 512
"""Requests that lmms-eval gives to vLLM at once; their encoded images lie in memory."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ERROR = re.compile(r"Error during evaluation: (.*?)(?:\. Please set `--verbosity=DEBUG`.*)?$")
_CAUSE = re.compile(r"^(?!.*RetryError)[\w.]*(?:Error|Exception): .*")


@dataclass(frozen=True)
class Runner:
    """How lmms-eval runs the model."""

    model: str
    """A model class of lmms-eval, or `finer1`, that of this project."""
    arguments: tuple[str, ...]
    """`key=value`, of --model_args."""


def find_package() -> Path:
    """Folder of lmms_eval. Raises ValueError when it is absent or not the version with tasks."""
    spec = importlib.util.find_spec("lmms_eval")
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"lmms-eval is not installed; {INSTALL}")
    version = importlib.metadata.version("lmms-eval")
    if version != VERSION:
        raise ValueError(f"lmms-eval {version} is installed and {VERSION} is needed; {INSTALL}")
    names = {point.name for point in importlib.metadata.entry_points(group="lmms_eval.models")}
    if NAME not in names:
        raise ValueError("lmms-eval does not know this project's models yet; run make setup again")
    return Path(spec.submodule_search_locations[0])


def choose_runner(
    model: AskedModel, engine: str, device: str, system: str, home: Path, store: Path, scratch: Path
) -> Runner:
    """lmms-eval's vLLM where a GPU and vLLM are and the model is whole weights; else our engines.

    engine: runtime.engine, for our engines. device: cpu or cuda. system: of the prompt; lmms-eval's
    vLLM sends none. Raises ValueError for a model of a server and for one that writes nothing.
    """
    if model.kind == "server":
        raise ValueError(
            f"{model.path} is run by a server, which lmms-eval asks by itself: python -m lmms_eval "
            f"--model async_openai --model_args model_version={model.name},base_url=ADDRESS; here "
            "such a model takes imagewikiqa alone, so set general.tasks to [imagewikiqa]"
        )
    if model.kind == "clip":
        raise ValueError(f"{model.path} is a CLIP model, which writes nothing; take it out")
    has_vllm = importlib.util.find_spec("vllm") is not None
    if device == "cuda" and has_vllm and model.name and not (model.adapter or system):
        name, _, commit = model.name.partition("@")
        revision = (f"revision={commit}",) if commit else ()
        return Runner("vllm", _checked(f"model={name}", *revision, "trust_remote_code=False"))
    if engine == "vllm_server":
        raise ValueError("general benchmarks take no vllm_server; set runtime.engine otherwise")
    places = (f"home={home.absolute()}", f"store={store.absolute()}", f"scratch={scratch}")
    return Runner(NAME, _checked(f"model={model.path}", *places))


def evaluation_command(
    runner: Runner, task: str, tasks: Path, output: Path, max_tokens: int, limit: int | None
) -> list[str]:
    """The command that scores one task.

    tasks: folder of its file. max_tokens: for every completion, whatever the task says, since a
    model that thinks needs more than a letter.
    """
    arguments = (*runner.arguments, *_own_limit(runner, max_tokens))
    return [
        *(sys.executable, "-m", "lmms_eval", "--model", runner.model),
        *("--model_args", ",".join(arguments), "--batch_size", str(_BATCH_SIZE)),
        *("--include_path", str(tasks), "--tasks", task),
        *("--gen_kwargs", f"max_new_tokens={max_tokens},temperature=0,top_p=1"),
        *("--reasoning_tags", json.dumps(REASONING_TAGS)),
        *(("--limit", str(limit)) if limit else ()),
        *("--output_path", str(output), "--log_samples"),
    ]


def run_harness(command: Sequence[str], log: Path, show: Callable[[str], None]) -> None:
    """Run lmms-eval to its end; all of its output goes to `log`, the lines that matter to `show`.

    Raises RuntimeError with its own words when it wrote no results.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    output = Path(command[command.index("--output_path") + 1])
    with (
        log.open("w", encoding="utf-8") as kept,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=dying_with_parent(),
        ) as process,
    ):
        kept.write(f"{shlex.join(command)}\n")
        try:
            _hand_on(process, kept.write, show)
        except BaseException:
            process.kill()
            raise
        code = process.wait()
    if code or not any(output.rglob(RESULTS)):
        raise RuntimeError(f"lmms-eval: {_last_words(log)}; all that it said is in {log}")


def _hand_on(
    process: "subprocess.Popen[str]", keep: Callable[[str], object], show: Callable[[str], None]
) -> None:
    """Lines as they come; of a progress bar, which rewrites its line, one now and then."""
    shown_at = float("-inf")
    for line in process.stdout or ():  # a carriage return ends a line, too
        keep(line)
        text = _COLOUR.sub("", line).strip()
        is_bar = "%|" in text
        if text and (not is_bar or time.monotonic() - shown_at >= PAUSE_S):
            show(text)
            shown_at = time.monotonic() if is_bar else shown_at


def _last_words(log: Path) -> str:
    """Its error; where it gave up trying, what it tried against."""
    lines = _COLOUR.sub("", log.read_text(encoding="utf-8")).splitlines()
    errors = [match[1] for line in lines if (match := _ERROR.search(line))]
    if errors and "RetryError" in errors[-1]:
        errors = [line for line in lines if _CAUSE.match(line)] or errors
    return (errors or [line for line in lines if line.strip()] or ["it said nothing"])[-1].strip()


def _own_limit(runner: Runner, max_tokens: int) -> tuple[str, ...]:
    # lmms-eval's vLLM takes the larger one of this, 4096 by default, and the task's.
    return (f"max_new_tokens={max_tokens}",) if runner.model == "vllm" else ()


def _checked(*arguments: str) -> tuple[str, ...]:
    """The same, if lmms-eval reads them back as they are. Raises ValueError."""
    for argument in arguments:
        if set(argument) & set(",'\"{}[]"):
            raise ValueError(f"{argument}: lmms-eval takes no path with a comma, quote or bracket")
    return arguments
