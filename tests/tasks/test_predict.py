import subprocess
import sys

import pytest


@pytest.mark.parametrize("words", [[], ["grpo"], ["base", "sft"]])
def test_a_wrong_model_is_bad_input(repository, words):
    done = subprocess.run(
        [sys.executable, "-m", "tasks.predict", *words],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "usage: python -m tasks.predict {base,sft,tapo}\n"
