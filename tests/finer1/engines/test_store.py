import pytest
from PIL import Image

from finer1.engines.interface import Request, Sample, Sampling
from finer1.engines.store import GenerationStore, generation_key

SAMPLING = Sampling(n=2, temperature=1.0, top_p=1.0, max_tokens=8)


class Echo:
    """Answers with the prompt and keeps count of its calls."""

    identity = "echo"

    def __init__(self, dies_at=None, pads=False):
        self.calls = []
        self.pads = pads
        self._dies_at = dies_at

    def generate(self, requests, sampling):
        if len(self.calls) == self._dies_at:
            raise KeyboardInterrupt
        self.calls.append([request.user for request in requests])
        return [[Sample(f"{r.user}{i}", 1, "stop") for i in range(sampling.n)] for r in requests]


def requests(*texts):
    return [Request(user=text) for text in texts]


def test_a_second_call_generates_nothing(tmp_path):
    engine = Echo()
    for _ in range(2):
        got = GenerationStore(tmp_path, 2).generate(engine, requests("a", "b", "c"), SAMPLING, "t")
    assert engine.calls == [["a", "b"], ["c"]]
    assert [[sample.text for sample in samples] for samples in got] == [
        ["a0", "a1"],
        ["b0", "b1"],
        ["c0", "c1"],
    ]


def test_what_is_made_is_counted_and_what_was_there_is_not(tmp_path):
    GenerationStore(tmp_path, 2).generate(Echo(), requests("a"), SAMPLING, "t")
    store = GenerationStore(tmp_path, 2)
    store.generate(Echo(), requests("a", "b", "c"), SAMPLING, "t")
    assert (store.num_made, store.tokens_made) == (4, 4)  # b and c, two samples of one token


@pytest.mark.parametrize("pads", [False, True])
def test_a_killed_run_continues_with_the_same_batches(tmp_path, pads):
    texts = requests("a", "b", "c", "d", "e")
    with pytest.raises(KeyboardInterrupt):
        GenerationStore(tmp_path, 2).generate(Echo(1, pads), texts, SAMPLING, "t")
    engine = Echo(pads=pads)
    GenerationStore(tmp_path, 2).generate(engine, texts, SAMPLING, "t")
    assert engine.calls == [["c", "d"], ["e"]]


@pytest.mark.parametrize(("pads", "calls"), [(False, [["c"]]), (True, [["b", "c"]])])
def test_an_engine_that_pads_makes_whole_batches(tmp_path, pads, calls):
    store = GenerationStore(tmp_path, 2)
    store.generate(Echo(), requests("a", "b"), SAMPLING, "t")
    store.generate(Echo(pads=True), requests("a", "b"), SAMPLING, "t")
    engine = Echo(pads=pads)
    store.generate(engine, requests("a", "b"), SAMPLING, "t")
    store.generate(engine, requests("b", "c"), SAMPLING, "t")  # "b" is known, in another batch
    assert engine.calls == calls


def test_a_batch_of_which_a_part_was_written_is_made_again_as_a_whole(tmp_path):
    store = GenerationStore(tmp_path, 3)
    store.generate(Echo(pads=True), requests("a", "b", "c"), SAMPLING, "t")
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    engine = Echo(pads=True)
    got = store.generate(engine, requests("a", "b", "c"), SAMPLING, "t")
    assert engine.calls == [["a", "b", "c"]]
    assert [samples[0].text for samples in got] == ["a0", "b0", "c0"]


def test_other_engines_do_not_share_generations(tmp_path):
    other = Echo()
    other.identity = "other"
    store = GenerationStore(tmp_path, 2)
    store.generate(Echo(), requests("a"), SAMPLING, "t")
    store.generate(other, requests("a"), SAMPLING, "t")
    assert other.calls == [["a"]]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_cut_off_and_made_again(tmp_path, cut):
    texts = requests("a", "b")
    GenerationStore(tmp_path, 1).generate(Echo(), texts, SAMPLING, "t")
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    engine = Echo()
    GenerationStore(tmp_path, 1).generate(engine, texts, SAMPLING, "t")
    assert engine.calls == [["b"]]
    assert path.read_bytes() == whole


def test_a_damaged_middle_line_is_named(tmp_path):
    store = GenerationStore(tmp_path, 1)
    store.generate(Echo(), requests("a", "b"), SAMPLING, "t")
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"{" + path.read_bytes())
    with pytest.raises(ValueError, match=":1: damaged line"):
        store.generate(Echo(), requests("a"), SAMPLING, "t")


def test_everything_that_shapes_a_generation_is_in_its_key():
    image = Image.new("RGB", (8, 8))
    base = Request("a", (image,), ("hash",), "system", 0)
    others = [
        Request("b", (image,), ("hash",), "system", 0),
        Request("a", (image,), ("other",), "system", 0),
        Request("a", (image,), ("hash",), "", 0),
        Request("a", (image,), ("hash",), "system", 1),
    ]
    keys = {generation_key(request, SAMPLING) for request in [base, *others]}
    keys.add(generation_key(base, Sampling(1, 1.0, 1.0, 8)))
    assert len(keys) == 6


def test_an_image_without_its_hash_is_refused():
    with pytest.raises(ValueError, match="hash"):
        generation_key(Request("a", (Image.new("RGB", (8, 8)),)), SAMPLING)
