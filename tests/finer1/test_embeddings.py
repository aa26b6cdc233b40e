import hashlib
import subprocess
import sys
import threading
import time

import pytest
import torch
from PIL import Image

from finer1 import embeddings
from finer1.embeddings import EmbeddingStore
from finer1.encoders.interface import ImageEncoder
from finer1.records import ImageRecord


def records(count, first=0):
    return [
        ImageRecord(
            f"w/{i}.png", "w", "bird", "wren", None,
            hashlib.sha256(str(i).encode()).hexdigest(), "0" * 16, "train",
        )
        for i in range(first, first + count)
    ]  # fmt: skip


def read(image_id):
    """An image whose red is its number."""
    return Image.new("RGB", (8, 8), (int(image_id[2:-4]), 0, 0))


class Counting:
    """An encoder that counts the images it was given: (red, 1)."""

    def __init__(self, identity="a" * 64, stop_at=None):
        self.asked = []
        self.stop_at = stop_at
        self.encoder = ImageEncoder("counting", identity, self.encode)

    def encode(self, images):
        reds = [image.getpixel((0, 0))[0] for image in images]
        if self.stop_at is not None and len(self.asked) + len(reds) > self.stop_at:
            raise KeyboardInterrupt
        self.asked += reds
        return torch.tensor([[float(red), 1.0] for red in reds])


@pytest.fixture
def store(tmp_path):
    return EmbeddingStore(tmp_path)


def test_embeddings_come_in_the_order_of_the_images(store):
    got = store.embed(Counting().encoder, records(5)[::-1], read, "test")
    assert got.tolist() == [[4, 1], [3, 1], [2, 1], [1, 1], [0, 1]]
    assert got.dtype == torch.float32


def test_each_image_is_computed_once(store, tmp_path):
    counting = Counting()
    store.embed(counting.encoder, records(40), read, "test")
    again = EmbeddingStore(tmp_path).embed(counting.encoder, records(50)[::-1], read, "test")
    assert sorted(counting.asked) == list(range(50))
    assert again[:, 0].tolist() == list(range(49, -1, -1))


def test_equal_files_are_computed_once(store):
    counting = Counting()
    got = store.embed(counting.encoder, records(2) * 3, read, "test")
    assert sorted(counting.asked) == [0, 1]
    assert got[:, 0].tolist() == [0, 1] * 3


def test_another_encoder_shares_nothing(store):
    store.embed(Counting().encoder, records(3), read, "test")
    other = Counting(identity="b" * 64)
    store.embed(other.encoder, records(3), read, "test")
    assert sorted(other.asked) == [0, 1, 2]


def test_known_images_are_not_read(store):
    counting = Counting()
    store.embed(counting.encoder, records(3), read, "test")
    store.embed(counting.encoder, records(3), None, "test")


def test_interrupted_work_goes_on_with_the_same_batches(store, tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings, "CHUNK_IMAGES", 32)
    whole = Counting()
    store.embed(whole.encoder, records(100), read, "test")
    killed, continued = Counting("b" * 64, stop_at=70), Counting("b" * 64)
    with pytest.raises(KeyboardInterrupt):
        store.embed(killed.encoder, records(100), read, "test")
    got = store.embed(continued.encoder, records(100), read, "test")
    assert len(killed.asked) == 64  # two batches of 32
    assert killed.asked + continued.asked == whole.asked
    assert got[:, 0].tolist() == list(range(100))


def test_slow_work_is_written_in_between(store, tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings, "CHUNK_S", 0.0)
    with pytest.raises(KeyboardInterrupt):
        store.embed(Counting(stop_at=64).encoder, records(100), read, "test")
    assert len(list(tmp_path.glob("*/*.safetensors"))) == 2


@pytest.mark.parametrize("spoil", ["cut", "flip"])
def test_a_damaged_chunk_is_removed_and_made_again(store, tmp_path, spoil):
    counting = Counting()
    store.embed(counting.encoder, records(3), read, "test")
    (path,) = tmp_path.glob("*/*.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content if spoil == "flip" else content[:-1])
    with pytest.warns(UserWarning, match="damaged"):
        got = store.embed(counting.encoder, records(3), read, "test")
    assert got[:, 0].tolist() == [0, 1, 2]
    assert len(counting.asked) == 6


def test_leftovers_of_a_killed_writer_go(store, tmp_path):
    store.embed(Counting().encoder, records(1), read, "test")
    left = tmp_path / ("a" * 32) / ".x.safetensors.part"
    left.write_bytes(b"half")
    store.embed(Counting().encoder, records(2), read, "test")
    assert not left.exists()


def test_a_second_process_waits_says_so_and_computes_nothing(store, tmp_path, caplog):
    # Both ask at once; the one that comes second finds all that the first has made.
    started, counting = threading.Event(), Counting()

    def slowly(images):
        started.set()
        time.sleep(0.2)
        return Counting().encode(images)

    slow = ImageEncoder("counting", "a" * 64, slowly)
    first = threading.Thread(target=store.embed, args=(slow, records(3), read, "test"))
    first.start()
    started.wait()
    EmbeddingStore(tmp_path).embed(counting.encoder, records(3), read, "test")
    first.join()
    assert counting.asked == []
    assert caplog.text.count("waiting for another process that computes embeddings") == 1


def test_only_the_asked_embeddings_are_kept_in_memory(store, tmp_path):
    store.embed(Counting().encoder, records(40), read, "test")
    (folder,) = tmp_path.iterdir()
    wanted = {records(1, 7)[0].sha256}
    found = embeddings._read_chunks(folder, wanted)
    assert found.keys() == wanted
    assert [row.untyped_storage().nbytes() for row in found.values()] == [8]  # two float32


def test_embeddings_that_are_not_finite_are_refused_and_not_kept(store, tmp_path):
    broken = ImageEncoder(
        "broken", "c" * 64, lambda images: torch.full((len(images), 2), torch.nan)
    )
    with pytest.raises(ValueError, match="'broken' gives no finite embedding of w/"):
        store.embed(broken, records(2), read, "test")
    assert not list(tmp_path.glob("*/*.safetensors"))


def test_rate_and_time_left_are_shown(store, capsys):
    store.embed(Counting().encoder, records(64), read, "counting")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("counting: 32/64 images, ")
    assert "left" in lines[0]
    assert "/s" in lines[0]


_KILLED = """
import os, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from finer1 import embeddings
from tests_embeddings import Counting, read, records
embeddings.CHUNK_IMAGES = 32
counting = Counting()
def encode(images):
    if len(counting.asked) >= 64:
        os.kill(os.getpid(), 9)
    return counting.encode(images)
encoder = embeddings.ImageEncoder("counting", "a" * 64, encode)
embeddings.EmbeddingStore(Path(sys.argv[1])).embed(encoder, records(100), read, "test")
"""


@pytest.mark.slow
def test_a_killed_process_loses_only_its_last_chunk(store, tmp_path, repository):
    (tmp_path / "tests_embeddings.py").write_text(
        (repository / "tests/finer1/test_embeddings.py").read_text()
    )
    process = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path), str(tmp_path)], cwd=repository, check=False
    )
    assert process.returncode == -9
    counting = Counting()
    got = store.embed(counting.encoder, records(100), read, "test")
    assert len(counting.asked) == 36
    assert got[:, 0].tolist() == list(range(100))
