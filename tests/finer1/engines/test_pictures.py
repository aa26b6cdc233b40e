"""Images that are decoded when they are needed, and not before."""

import errno
import threading
import time

import pytest
from PIL import Image

from finer1.engines.interface import Request, Sample, Sampling, in_order
from finer1.engines.pictures import AHEAD, Pictures, read_ahead
from finer1.engines.store import GenerationStore

ONE = Sampling(n=1, temperature=0.0, top_p=1.0, max_tokens=8)


class Reader:
    """Gives an image of one colour per id, and notes what was read."""

    def __init__(self):
        self.read_ids = []
        self._lock = threading.Lock()

    def read(self, image_id):
        with self._lock:
            self.read_ids.append(image_id)
        return Image.new("RGB", (8, 8), (int(image_id) % 256, 0, 0))


class Streams:
    """Takes the images of each request in turn, and answers with their colour."""

    identity = "streams"
    pads = False

    def generate(self, requests, sampling):
        return in_order(self.stream(requests, sampling))

    def stream(self, requests, sampling):
        for place, request in enumerate(requests):
            (image,) = list(request.images)
            yield place, [Sample(str(image.getpixel((0, 0))[0]), 1, "stop")]


def requests(reader, count):
    return [Request(f"q{i}", Pictures([str(i)], reader.read), (str(i),)) for i in range(count)]


def test_a_request_holds_no_image():
    reader = Reader()
    request = Request("q", Pictures(["1", "2"], reader.read), ("1", "2"))
    assert len(request.images) == 2
    assert reader.read_ids == []
    assert [image.getpixel((0, 0))[0] for image in request.images] == [1, 2]
    assert [image.getpixel((0, 0))[0] for image in request.images[1:]] == [2]


def test_only_the_next_images_are_decoded_ahead():
    reader = Reader()
    with read_ahead(requests(reader, 500)) as prepared:
        assert reader.read_ids == []
        list(prepared[0].images)
        _await(lambda: len(reader.read_ids) == AHEAD + 1)
        list(prepared[1].images)
        _await(lambda: len(reader.read_ids) == AHEAD + 2)
    assert sorted(reader.read_ids, key=int) == [str(i) for i in range(AHEAD + 2)]


def test_an_image_that_is_taken_again_is_decoded_again():
    reader = Reader()
    with read_ahead(requests(reader, 1)) as prepared:
        for _ in range(2):
            assert prepared[0].images[0].getpixel((0, 0)) == (0, 0, 0)
    assert reader.read_ids == ["0", "0"]


def test_requests_taken_in_another_order_get_their_own_images():
    reader = Reader()
    with read_ahead(requests(reader, 200)) as prepared:
        colours = {i: prepared[i].images[0].getpixel((0, 0))[0] for i in reversed(range(200))}
    assert colours == {i: i for i in range(200)}


def test_an_image_that_cannot_be_read_fails_where_it_is_taken():
    def read(image_id):
        raise ValueError(f"{image_id} is broken")

    with (
        read_ahead([Request("q", Pictures(["7"], read), ("7",))]) as (request,),
        pytest.raises(ValueError, match="7 is broken"),
    ):
        list(request.images)


def test_the_store_decodes_each_missing_image_once(tmp_path):
    reader = Reader()
    store = GenerationStore(tmp_path, 96)
    store.generate(Streams(), requests(reader, 50), ONE, "t")
    got = store.generate(Streams(), requests(reader, 200), ONE, "t")
    assert [samples[0].text for samples in got] == [str(i) for i in range(200)]
    assert sorted(reader.read_ids, key=int) == [str(i) for i in range(200)]


def test_a_full_disk_ends_the_work(tmp_path, monkeypatch):
    def full(file, generations):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("finer1.engines.store.GenerationFile.add", full)
    with pytest.raises(OSError, match="no space left"):
        GenerationStore(tmp_path, 96).generate(Streams(), requests(Reader(), 5), ONE, "t")


def _await(is_so):
    """Wait for the threads that decode."""
    for _ in range(500):
        if is_so():
            return
        time.sleep(0.01)
    pytest.fail("the images were not decoded within 5 s")
