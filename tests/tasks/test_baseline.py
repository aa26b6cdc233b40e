"""The stage `baseline`: further models, and what predict and it share."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from PIL import Image

from finer1.images import write_archive
from finer1.records import ImageRecord, Prediction, Question, SplitRecord, read_jsonl, write_jsonl
from flows.smoke import prepare
from flows.values import set_values
from tasks.asking import ask_all, load_material
from tasks.baseline import baseline

LABELS = ("ash wren", "elm wren", "oak wren")
ENTRY = {
    "title": "Tiny", "kind": "chat", "model": "owner/tiny", "commit": None, "adapter": None,
    "prompts": None, "answer_from": "text", "tried": {"transformers": "not tried"}, "notes": "",
}  # fmt: skip


@pytest.fixture
def material(make_context):
    """Two test images per sub-category with a closed and an open question each, one SFT image."""
    paths = make_context("baseline").params.paths
    members, rows, questions = [], [], []
    for place, label in enumerate(LABELS):
        for number, part in enumerate(("test", "test", "sft")):
            name = f"{label}/{number}.png"
            buffer = io.BytesIO()
            colour = (80 * place, 255 - 80 * place, 30 * number)
            Image.new("RGB", (40, 36), colour).save(buffer, "PNG")
            members.append((name, buffer.getvalue()))
            image = ImageRecord(
                f"w/{name}", "w", "bird", label, None, f"{place}{number}".rjust(64, "0"),
                "0" * 16, "test",
            )  # fmt: skip
            rows.append(SplitRecord(image, seen=True, part=part))
            for setting in ("closed", "open") if part == "test" else ():
                options = LABELS if setting == "closed" else ()
                questions.append(
                    Question(f"{setting}/{image.id}", image.id, "bird", label, True, setting,
                             "What is this?", options, "random")
                )  # fmt: skip
    write_archive(paths.images / "w.zip", members)
    write_jsonl(paths.splits, rows)
    write_jsonl(paths.questions, questions)
    return questions


@pytest.fixture
def context_of(of_path, tmp_path):
    """A context in which predict.models has one entry of the zoo."""

    def context_of(strategy="trained", **entry):
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(ENTRY | entry))
        return of_path(path, strategy)

    return context_of


@pytest.fixture
def of_path(make_context):
    """A context in which predict.models has the model of a path."""

    def of_path(path, strategy="trained", max_tokens=None):
        entry = {"model": str(path), "strategy": strategy, "max_tokens": max_tokens}
        return make_context("baseline@tiny", {"predict.models": {"tiny": entry}})

    return of_path


@pytest.fixture
def chat_server():
    """Address of a server that answers how many images it was shown; what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.headers["Authorization"], body))
            parts = body["messages"][-1]["content"]
            count = sum(part["type"] == "image_url" for part in parts)
            message = {"content": f"{count} images"}
            answer = {
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"completion_tokens": 2},
            }
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
        server.shutdown()


def rows_of(context):
    return read_jsonl(context.params.paths.predictions / "tiny.jsonl", Prediction)


def test_an_unknown_name_is_refused_with_the_known_ones(make_context):
    with pytest.raises(ValueError, match="predict.models has no x; it has none"):
        baseline(make_context("baseline@x"), "x")


def test_a_model_on_a_server_is_asked_with_its_own_key_and_examples(
    material, context_of, chat_server, logged
):
    url, asked = chat_server
    context = context_of("in_context", kind="server", model="big")
    context = replace(context, eval_server=url, eval_key="secret", server="x", api_key="teacher's")
    metrics = baseline(context, "tiny")
    rows = rows_of(context)
    assert [row.question_id for row in rows] == [question.id for question in material]
    # An example of each of the three options, of the open ones as many; then the asked image.
    assert {row.completion for row in rows} == {"4 images"}
    assert {(row.identity, row.strategy, row.num_tokens) for row in rows} == {
        ("openai:big", "in_context", 2)
    }
    assert {key for key, _ in asked} == {"Bearer secret"}
    assert metrics == {
        "predict/questions": 12,
        "predict/completion_tokens_mean": 2.0,
        "predict/cut_off": 0,
    }
    ((_, speed),) = logged.metrics
    assert set(speed) == {"speed/seconds", "speed/samples_per_s", "speed/tokens_per_s"}


def test_a_further_model_is_asked_in_its_own_words(material, context_of, chat_server):
    url, _ = chat_server
    own = {"closed": "{question} {options}?", "open": "Name the {category}."}
    context = replace(context_of(kind="server", prompts=own), eval_server=url)
    baseline(context, "tiny")
    rows = rows_of(context)
    assert (rows[0].prompt, rows[0].answer_from) == (
        "What is this? ash wren; elm wren; oak wren?", "text"
    )  # fmt: skip
    assert rows[1].prompt == "Name the bird."


def test_a_model_without_templates_is_not_asked_as_trained(material, context_of):
    with pytest.raises(ValueError, match="tiny.yaml: it has no templates of its own"):
        baseline(context_of(kind="server"), "tiny")


def test_a_further_model_has_its_own_longest_completion(material, of_path, context_of, chat_server):
    url, asked = chat_server
    context_of(kind="server")  # writes the entry
    path = context_of(kind="server").params.predict.models["tiny"].model
    for max_tokens in (None, 2048):
        context = of_path(path, "direct", max_tokens)
        baseline(replace(context, eval_server=url), "tiny")
    lengths = [body.get("max_tokens", body.get("max_completion_tokens")) for _, body in asked]
    assert set(lengths[:12]) == {context.params.predict.max_tokens}
    assert set(lengths[12:]) == {2048}


def test_material_decodes_no_image(material, make_context):
    context = make_context("predict@base")
    (context.params.paths.images / "w.zip").unlink()
    found = load_material(context)
    asked = ask_all(context, found, found.questions, "in_context", None)
    assert all(len(item.images) == 4 for item in asked.values())


@pytest.mark.slow
def test_a_clip_model_answers_the_closed_questions_alone(material, of_path, tiny_clip):
    context = of_path(tiny_clip)
    baseline(context, "tiny")
    rows = rows_of(context)
    assert [row.question_id for row in rows] == [q.id for q in material if q.setting == "closed"]
    assert {row.strategy for row in rows} == {"zero_shot"}
    assert {row.num_tokens for row in rows} == {0}
    assert all(row.completion in {f"<answer>{label}</answer>" for label in LABELS} for row in rows)
    assert rows[0].prompt == "a photo of a {}"
    assert rows[0].identity.startswith(f"open_clip:{tiny_clip}@")


@pytest.fixture(scope="module")
def project(repository, tmp_path_factory):
    """A copy of the project with questions about the drawn world, and two further models."""
    copy = tmp_path_factory.mktemp("project")
    prepare(repository, copy, "smoke")
    base = {"model": "models/base/world", "max_tokens": None}
    set_values(
        copy / "params.yaml",
        {
            "predict.models": {
                "plain": base | {"strategy": "trained"},
                "shown": base | {"strategy": "in_context"},
            },
            "runtime.batch_size": 8,
        },
    )
    for stage in ("download", "split", "questions"):
        subprocess.run([sys.executable, "-m", f"tasks.{stage}"], cwd=copy, check=True)
    return copy


def start(project, name, store, **environ):
    return subprocess.Popen(
        [sys.executable, "-m", "tasks.baseline", name],
        cwd=project,
        env=os.environ | {"FINER1_STORE": str(store), **environ},
        stderr=subprocess.PIPE,
        text=True,
    )


def generated(store):
    return [line for path in store.glob("*.jsonl") for line in path.read_bytes().splitlines()]


@pytest.mark.slow
def test_after_a_kill_nothing_is_generated_twice(project, tmp_path):
    output = project / "data/predictions/plain.jsonl"
    whole = start(project, "plain", tmp_path / "whole")
    words = whole.communicate()[1]
    assert whole.returncode == 0, words
    expected, count = output.read_bytes(), len(generated(tmp_path / "whole"))
    assert "tokens/s" in words
    output.unlink()

    store = tmp_path / "killed"
    killed = start(project, "plain", store)
    while len(generated(store)) < 16:  # two batches of eight
        assert killed.poll() is None, killed.communicate()[1]
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    kept = generated(store)
    assert 16 <= len(kept) < count
    assert not output.exists()

    again = start(project, "plain", store)
    words = again.communicate()[1]
    assert again.returncode == 0, words
    assert output.read_bytes() == expected
    assert generated(store)[: len(kept)] == kept
    assert len(generated(store)) == count


@pytest.mark.slow
def test_a_real_model_is_shown_examples(project, tmp_path):
    asked = start(project, "shown", tmp_path / "store")
    words = asked.communicate()[1]
    assert asked.returncode == 0, words
    rows = read_jsonl(project / "data/predictions/shown.jsonl", Prediction)
    assert {row.strategy for row in rows} == {"in_context"}
    assert any(row.prompt.startswith("Picture 1 shows: ") for row in rows)


@pytest.mark.slow
def test_a_name_that_is_no_entry_is_bad_input(project, tmp_path):
    asked = start(project, "nobody", tmp_path / "store")
    assert "dvc.yaml has no stage baseline@nobody" in asked.communicate()[1]
    assert asked.returncode == 2
