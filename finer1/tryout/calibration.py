"""What the last evaluation measured about shares of votes, of the very model that is asked."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from finer1.evaluation.votes import BINS
from finer1.paths import Paths


@dataclass(frozen=True)
class Calibration:
    """The votes of one model in an evaluation."""

    model: str
    """As the evaluation calls it."""
    metrics: Mapping[str, float]
    """Of the stage `score`."""
    samples: int
    """Votes of a question."""
    temperature: float
    """At which they were drawn."""

    def sentence(self, share: float, samples: int, temperature: float) -> str:
        """How often majority answers with a share like this were right; share: in (0, 1].

        samples, temperature: of the votes that gave the share; of others nothing was measured.
        """
        if (samples, temperature) != (self.samples, self.temperature):
            return (
                "How often such shares are right was measured with "
                f"{self.samples} votes at temperature {self.temperature:g} only; set these to "
                "compare."
            )
        place = math.ceil(round(share * BINS, 9)) - 1
        key = f"{self.model}/votes"
        count = int(self.metrics[f"{key}/bin_{place}/n"])
        band = f"above {100 * place // BINS}, to {100 * (place + 1) // BINS} %"
        error = (
            f"over all {int(self.metrics[f'{key}/n'])} questions, {self.samples} votes each, share "
            f"and accuracy are {100 * self.metrics[f'{key}/ece']:.1f} points apart "
            "(expected calibration error)"
        )
        if not count:
            return (
                f"In the last evaluation no answer had a share of the votes like this ({band}); "
                f"{error}."
            )
        right = 100 * self.metrics[f"{key}/bin_{place}/accuracy"]
        return (
            f"In the last evaluation answers with a share of the votes like this ({band}) were "
            f"right {right:.1f} % of the time, {count} questions; {error}."
        )


def find_calibration(
    paths: Paths, home: Path, identity: str, temperature: float
) -> Calibration | None:
    """The votes of the model in the project's evaluation; None when it was another model's.

    identity: of engine and weights; only the weights' part has to be the same. temperature: of the
    votes in the evaluation.
    """
    file = home / paths.metrics / "score.json"
    if not file.is_file():
        return None
    metrics = json.loads(file.read_text(encoding="utf-8"))
    for model in sorted({key.partition("/votes/")[0] for key in metrics if "/votes/" in key}):
        samples = _samples(home / paths.predictions / f"{model}.jsonl", identity)
        if samples:
            return Calibration(model, metrics, samples, temperature)
    return None


def _samples(predictions: Path, identity: str) -> int:
    """Votes of a question by the model of this identity; 0 when the answers are another's."""
    if not predictions.is_file():
        return 0
    samples = 0
    with predictions.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if _weights(row["identity"]) != _weights(identity):
                return 0
            samples = max(samples, len(row["votes"]))
    return samples


def _weights(identity: str) -> str:
    return identity.rpartition(":")[2]
