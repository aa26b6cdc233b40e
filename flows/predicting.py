"""`finer1 predict`: what a trained model says of images, one or folders of them."""

import hashlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tasks.exit_codes import BAD_INPUT

if TYPE_CHECKING:
    from finer1.recognition import Recognition, Recognizer
    from finer1.recognition.answers import Answered, Key

_BATCH = 8


@dataclass(frozen=True)
class PredictRequest:
    """What is asked about which images."""

    images: tuple[Path, ...]
    """Files, or folders of them."""
    model: Path
    candidates: tuple[str, ...]
    category: str | None
    votes: int
    form: Literal["text", "jsonl", "csv"]
    output: Path | None
    """A file of rows, which grows; None prints."""
    device: Literal["auto", "cpu", "cuda"]


def predict(
    images: Annotated[list[Path], typer.Argument(help="Images, or folders of them.")],
    model: Annotated[
        Path | None, typer.Option(help="Folder of the model; that of stage 2 in this project.")
    ] = None,
    candidates: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Names to choose among, one per line.")
    ] = None,
    category: Annotated[str | None, typer.Option(help="What the images show, as in: bird.")] = None,
    votes: Annotated[int, typer.Option(min=0, help="Answers drawn beside the greedy one.")] = 0,
    form: Annotated[
        Literal["text", "jsonl", "csv"] | None,
        typer.Option("--format", help="What is printed; text."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Add rows to a .jsonl or .csv file."),
    ] = None,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where it runs.")] = "auto",
) -> None:
    """Say what images show: the answer, the rationale, the votes.

    Example: finer1 predict photos/ --category bird --out birds.csv
    """
    request = PredictRequest(
        images=tuple(images),
        model=model or own_model(Path.cwd()),
        candidates=_read_names(candidates),
        category=category,
        votes=votes,
        form=_form(form, out),
        output=out,
        device=device,
    )
    raise typer.Exit(run_predict(request))


def run_predict(request: PredictRequest) -> int:
    """Answer and print or write; returns the exit code, that of bad input when an image is none.

    Raises ValueError for a model, a file or a word that is wrong, before the model is loaded.
    """
    files = list(find_images(request.images))
    from finer1.recognition import answers

    done, length = answers.read_done(request.output) if request.output else ({}, 0)
    from tasks.stage import settle_libraries

    settle_libraries(threads=0, is_online=False)
    from finer1.asking import find_asking
    from finer1.recognition import Recognizer

    find_asking(request.model).category(request.category)
    recognizer = Recognizer.load(request.model, request.device)
    if request.form == "text" and len(files) == 1 and not request.votes and sys.stdout.isatty():
        return _show_writing(recognizer, files[0], request)
    told: Counter[str] = Counter()
    rows = _answers(recognizer, files, request, done, told)
    if request.output is None:
        _print(rows, request.form)
    else:
        _write(rows, request.output, length, len(files))
        print(f"written   {request.output}: {told['there']} of {len(files)} images were there")
        if told["failed"]:
            print(f"failed    {told['failed']}: see the column error", file=sys.stderr)
    return BAD_INPUT if told["failed"] else 0


def find_images(places: Sequence[Path]) -> Iterator[Path]:
    """The files, and of folders the images below them, by name.

    Raises ValueError when something is not there, or a folder holds no image.
    """
    from finer1.inspection.suffixes import is_image_name

    for place in places:
        if place.is_dir():
            found = sorted(
                path
                for path in place.rglob("*")
                if is_image_name(path.name) and not path.name.startswith(".") and path.is_file()
            )
            if not found:
                raise ValueError(f"{place} holds no image; name a folder that does, or files")
            yield from found
        elif place.exists():
            yield place
        else:
            raise ValueError(f"{place} is not there; name images, or folders of them")


def own_model(here: Path) -> Path:
    """The model of stage 2. Raises ValueError where there is none."""
    from finer1.params import load_params

    path = here / "params.yaml"
    if not path.is_file():
        raise ValueError("name the model with --model FOLDER, or change to a project's folder")
    folder = load_params(path).paths.tapo
    if not (here / folder).is_dir():
        raise ValueError(
            f"{folder} is not there yet; train it (finer1 run), or name --model FOLDER"
        )
    return folder


def _read_names(path: Path | None) -> tuple[str, ...]:
    """The names in a file, one per line, each once. Raises ValueError for fewer than two."""
    if path is None:
        return ()
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    names = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if len(names) < 2:
        raise ValueError(
            f"--candidates {path} holds {len(names)} names; write two or more, a line each"
        )
    return names


def _form(form: str | None, out: Path | None) -> Literal["text", "jsonl", "csv"]:
    by_suffix = {".jsonl": "jsonl", ".csv": "csv"}
    if out is not None:
        if out.suffix not in by_suffix or form not in (None, by_suffix[out.suffix]):
            raise ValueError(f"--out {out}: name a file that ends in .jsonl or .csv, its format")
        form = by_suffix[out.suffix]
    return form or "text"  # type: ignore[return-value]


def _answers(
    recognizer: "Recognizer",
    files: Sequence[Path],
    request: PredictRequest,
    done: "dict[Key, bool]",
    told: Counter[str],
) -> "Iterator[Answered]":
    """A row per image that is not done, in order; told: how many are `failed`, `there`."""
    from finer1.images import decode_image
    from finer1.recognition.answers import Answered

    question = recognizer.question(request.candidates, request.category)
    sampling = recognizer.sampling(request.votes)

    def opened(path: Path) -> tuple[Answered, bytes] | None:
        name = str(path).encode(errors="backslashreplace").decode()  # one need not be UTF-8
        try:
            content = path.read_bytes()
        except OSError as error:
            return Answered(
                name, None, recognizer.identity, question, sampling, None, str(error)
            ), b""
        sha256 = hashlib.sha256(content).hexdigest()
        row = Answered(name, sha256, recognizer.identity, question, sampling, None)
        if row.key in done:
            told["there"] += 1
            told["failed"] += not done[row.key]
            return None
        done[row.key] = True  # the same file may be named twice
        return row, content

    rest = (item for path in files if (item := opened(path)) is not None)
    while part := list(islice(rest, _BATCH)):
        rows, pictures = [], []
        for row, content in part:
            try:
                if row.error is None:
                    pictures.append(decode_image(content, row.image))
            except ValueError as error:
                row = _with(row, None, str(error))
            rows.append(row)
        found = recognizer.predict_many(
            pictures, request.candidates, request.category, request.votes, _BATCH
        )
        for row in rows:
            told["failed"] += row.error is not None
            yield row if row.error else _with(row, next(found), None)


def _with(row: "Answered", found: "Recognition | None", error: str | None) -> "Answered":
    from dataclasses import replace

    return replace(row, found=found, error=error)


def _print(rows: "Iterator[Answered]", form: str) -> None:
    from finer1.inspection.findings import shown
    from finer1.recognition import answers

    if form == "csv":
        print(answers.csv_head(), end="")
    for row in rows:
        if form == "csv":
            print(answers.csv_line(row), end="", flush=True)
        elif form == "jsonl":
            print(answers.json_line(row), flush=True)
        else:
            print("\n".join(map(shown, answers.text_lines(row))), flush=True)


def _write(rows: "Iterator[Answered]", output: Path, length: int, total: int) -> None:
    """Add the rows to the file; what a kill left of a line is cut off."""
    from finer1.progress import Progress
    from finer1.recognition import answers

    is_csv = output.suffix == ".csv"
    progress = Progress("predict", total, "images")
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("ab") as file:
        file.truncate(length)
        if is_csv and not length:
            file.write(answers.csv_head().encode())
        for row in rows:
            line = answers.csv_line(row) if is_csv else f"{answers.json_line(row)}\n"
            file.write(line.encode())
            file.flush()
            progress.advance(1)


def _show_writing(recognizer: "Recognizer", path: Path, request: PredictRequest) -> int:
    """Print the completion of one image as it is written, then what was found."""
    from finer1.inspection.findings import shown
    from finer1.recognition.answers import Answered, text_lines

    found, told = None, 0
    for found in recognizer.stream(path, request.candidates, request.category):
        print(shown(found.raw[told:]), end="", flush=True)
        told = len(found.raw)
    print("\n")
    row = Answered(str(path), None, recognizer.identity, "", "", found)
    print("\n".join(map(shown, text_lines(row))))
    return 0
