"""The model that `mlflow models serve` answers with; MLflow runs this file by itself.

It is copied into each model, with the package finer1 as it was then, and names neither a path nor
a module of tasks. Input: {image: base64, candidates: optional list}; params: category, votes.
Output: {answer, candidates, sections, votes, raw}.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class ServedRecognizer(PythonModel):
    """Answers for the images of a request, one after the other."""

    def load_context(self, context: Any) -> None:
        """Load the weights: those in the model, or those at the path if they are the same still.

        Raises ValueError when they are not.
        """
        from finer1.manifest import model_identity
        from finer1.recognition import Asking, Recognizer

        config = context.model_config
        inside = (context.artifacts or {}).get("weights")
        folder = Path(inside or config["path"])
        how = "git checkout COMMIT && dvc checkout (the run's tags have its commit)"
        if not folder.is_dir():
            raise ValueError(f"the weights are not at {folder}; bring them there: {how}")
        if model_identity(folder) != config["sha256"]:
            raise ValueError(
                f"{folder} holds other weights than were registered; to get them back: {how}"
            )
        self._recognizer = Recognizer(folder, Asking(**config["asking"]), "auto")

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """One answer per row of a data frame with a column `image`.

        Raises ValueError on what is no image.
        """
        from finer1.recognition.uploads import decode_base64

        asked = params or {}
        answers = []
        for row in model_input.to_dict("records"):
            candidates = row.get("candidates")
            found = self._recognizer.predict(
                decode_base64(row["image"]),
                [] if candidates is None else [str(name) for name in candidates],
                asked.get("category"),
                min(int(asked.get("votes", 0)), _MOST_VOTES),
            )
            answers.append(asdict(found))
        return answers


_MOST_VOTES = 16
set_model(ServedRecognizer())
