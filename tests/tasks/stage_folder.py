"""A folder in which stages run as processes, as DVC starts them."""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager

import yaml

from finer1.params import check_params
from tests.crashes import tree

STAGE_S = 1800
OUTPUTS = {
    "download": ("images", "index", "audit"),
    "split": ("splits",),
    "concepts": ("concepts",),
    "cot": ("rationales", "queue", "cot_yield"),
    "sft": ("sft",),
}


class StageFolder:
    """The folder, with the code and a store of MLflow, and the settings of `values`."""

    def __init__(self, folder, repository, tracking_store, values):
        self.folder = folder
        self.change(values)
        shutil.copy(repository / "dvc.yaml", folder)
        shutil.copy(tracking_store / "mlflow.db", folder)
        for room in ("finer1", "tasks"):
            (folder / room).symlink_to(repository / room)

    def change(self, values):
        """Write the settings."""
        self.paths = check_params(values, "test").paths
        (self.folder / "params.yaml").write_text(yaml.safe_dump(values))

    def places(self, stage):
        """What the stage writes."""
        return [getattr(self.paths, name) for name in OUTPUTS[stage]]

    def outputs(self, stage):
        """The hashes of what it wrote."""
        found = {}
        for path in self.places(stage):
            found |= tree(path) if path.is_dir() else {path.name: tree(path.parent)[path.name]}
        return found

    @contextmanager
    def started(self, stage, **environ):
        """Its process, after its outputs are gone."""
        for path in self.places(stage):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        own = {
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.folder}/mlflow.db",
            "FINER1_EXIT_FILE": str(self.folder / "exit"),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", f"tasks.{stage}"],
            cwd=self.folder,
            env={**os.environ, **own, **environ},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def run(self, stage, **environ):
        """Run it to its end, which must be a good one; the hashes of what it wrote."""
        with self.started(stage, **environ) as process:
            code, said = ended(process)
        assert code == 0, said
        return self.outputs(stage)


def ended(process):
    """Exit code, and what was said."""
    said = process.communicate(timeout=STAGE_S)[1]
    return process.returncode, said
