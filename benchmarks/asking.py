"""What asking costs around the engine: time per question, share of the engine's time, memory.

    python -m benchmarks.asking DIR... [--questions 35566] [--slower 2000] [--model FOLDER]

Asks about all image files below the folders, over and over, with the loop of the stages `predict`
and `baseline`: an engine that answers at once, one that takes 10 ms per question, and a real one.
Seconds are CPU time of this process with one thread for the model, so that other programs count
little; of the engine that waits they are those of the clock. Prints markdown.
"""

import argparse
import hashlib
import itertools
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from benchmarks.data import image_files
from finer1.engines.interface import Engine, EngineSettings, Request, Sample, Sampling, load_engine
from finer1.engines.store import GenerationStore
from finer1.evaluation.asking import Shown, ask_model
from finer1.evaluation.strategies import Asked
from finer1.images import decode_image

GREEDY = Sampling(n=1, temperature=0.0, top_p=1.0, max_tokens=128)
ANSWER = Sample("<answer>elm wren</answer>", 6, "stop")
HEADER = "| engine | questions | in the engine, s | around it, s | ms per question | share |"
Clock = Callable[[], float]


class Paced:
    """Takes the images of a question, and `pace` seconds for each answer."""

    identity = "paced"
    pads = False

    def __init__(self, pace: float) -> None:
        self._pace = pace

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Sample]]:
        """An answer for each, one after the other."""
        return [samples for _, samples in self.stream(requests, sampling)]

    def stream(
        self, requests: Sequence[Request], sampling: Sampling
    ) -> Iterator[tuple[int, list[Sample]]]:
        """The same as it goes; the wait stands for the work of a model."""
        for place, request in enumerate(requests):
            assert len(list(request.images)) == 1
            time.sleep(self._pace)
            yield place, [ANSWER]


class Timed:
    """An engine that does not stream, with the seconds spent in it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.identity, self.pads = engine.identity, engine.pads
        self.seconds = 0.0

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Sample]]:
        """As the engine; images are decoded before the clock starts, for that is ours."""
        loaded = [
            Request(r.user, tuple(r.images), r.image_hashes, r.system, r.seed) for r in requests
        ]
        began = time.process_time()
        samples = self._engine.generate(loaded, sampling)
        self.seconds += time.process_time() - began
        return samples


def material(files: Sequence[Path], count: int) -> tuple[dict[str, Asked], Shown]:
    """`count` questions about the files in turn, each with a hash of its own."""
    places = dict(zip(map(str, range(count)), itertools.cycle(files), strict=False))
    asked = {
        key: Asked("trained", "", "What kind of bird is this?", (key,), "tags") for key in places
    }
    hashes = {key: hashlib.sha256(key.encode()).hexdigest() for key in places}
    read = lambda key: decode_image(places[key].read_bytes(), key)  # noqa: E731
    return asked, Shown(hashes, read)


def row(name: str, engine: Engine, files: Sequence[Path], count: int, pace: float | None) -> str:
    """A row of the table; pace: seconds per question of a Paced engine."""
    clock: Clock = time.perf_counter if pace else time.process_time
    with tempfile.TemporaryDirectory() as folder:
        began = clock()
        asked, shown = material(files, count)
        rows = ask_model(name, engine, asked, shown, GREEDY, GenerationStore(Path(folder), 96), 0)
        total = clock() - began
    assert len(rows) == count
    inside = engine.seconds if isinstance(engine, Timed) else _slept(pace or 0.0, count)
    around = total - inside
    share = f"{100 * around / inside:.1f} %" if inside else "-"
    cells = (name, count, f"{inside:.1f}", f"{around:.1f}", f"{1000 * around / count:.2f}", share)
    return f"| {' | '.join(map(str, cells))} |"


def _slept(pace: float, count: int) -> float:
    """Seconds that so many sleeps take: the machine wakes a little late each time."""
    if not pace:
        return 0.0
    began = time.perf_counter()
    for _ in range(100):
        time.sleep(pace)
    return (time.perf_counter() - began) / 100 * count


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.asking",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--questions", type=int, default=35566)
    parser.add_argument("--slower", type=int, default=2000, help="questions of the slower ones")
    parser.add_argument("--model", type=Path, default=Path("models/base/world"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    files = image_files(options.folders)
    print(f"{len(files)} image files\n\n{HEADER}\n|{' --- |' * 6}", flush=True)
    print(row("at once", Paced(0.0), files, options.questions, None), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(row("10 ms", Paced(0.01), files, options.slower, 0.01), flush=True)
    real = Timed(load_engine("transformers", EngineSettings(options.model, {}, "cpu")))
    print(row("transformers", real, files, options.slower, None), flush=True)
    print(f"\nMost memory after the first row, MiB: {peak}")


if __name__ == "__main__":
    main()
