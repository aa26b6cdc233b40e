"""The set-up's lock, and torchvision beside a CPU build of torch."""

import re
import subprocess
import sys


def test_every_package_of_the_lock_has_an_exact_version_and_a_hash(repository):
    text = (repository / "requirements.lock").read_text(encoding="ascii")
    entries = re.split(r"(?m)^(?=[A-Za-z])", text)[1:]
    assert len(entries) > 200
    for entry in entries:
        assert re.match(r"[A-Za-z0-9_.-]+==[^ ]+ \\\n    --hash=sha256:[0-9a-f]{64}", entry)


def test_the_lock_names_no_place(repository):
    text = (repository / "requirements.lock").read_text(encoding="ascii")
    assert not re.search(r"://|(?m:^)-", text)


def test_torchvision_imports_in_a_fresh_process():
    code = "from torchvision.transforms import v2; import open_clip"
    subprocess.run([sys.executable, "-c", code], check=True)
