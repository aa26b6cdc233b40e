"""The published figures of the ablations, as they lie in finer1/reference/published."""

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "reference/published"
_UNSEEN = "open/unseen/similarity"
_SIDES = {"seen": "closed/seen/accuracy", "unseen": "closed/unseen/accuracy"}

PUBLISHED_BASES = {
    **dict.fromkeys(("Figure 3a", "Figure 3b", "Figure 3c"), "Qwen2.5-VL-3B"),
    **dict.fromkeys(("Table 3a", "Table 3b"), "Qwen2.5-VL-3B"),
    "Table 3c": "Qwen2-VL-2B",
    "Table 7": "openpangu-vl-7b",
}
"""Table or figure -> the base that its figures are of, as the published tables call it."""

Published = Mapping[str, Mapping[str, float]]
"""What the paper's table calls a row -> column as in params.yaml -> per cent."""


@cache
def published_ablations() -> Mapping[str, Published]:
    """`Figure 3a` and so on -> its rows.

    Figures 3a to 3c hold what the text says of them; bars without a number there have none.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in _read("figure3_ablations.csv"):
        table = found.setdefault(f"Figure {row['figure']}", {})
        values = table.setdefault(row["variant"], {})
        values[_column(row["setting"], row["unit"])] = float(row["value"])
    found["Table 3a"] = {
        f"{row['n1']} + {row['n2']}": {_UNSEEN: float(row["unseen_semantic_similarity"])}
        for row in _read("table3a_rollout_ratio.csv")
    }
    found["Table 3b"] = {
        f"{row['cots']} rationales": {_UNSEEN: float(row["unseen_semantic_similarity"])}
        for row in _read("table3b_cot_count.csv")
    }
    found["Table 3c"] = {
        row["method"]: {"open/average/similarity": float(row["avg"])}
        for row in _read("table3c_qwen2vl2b.csv")
    }
    found["Table 7"] = {
        row["model"]: {
            **{column: float(row[f"{side}_avg"]) for side, column in _SIDES.items()},
            "closed/average/accuracy": float(row["avg"]),
        }
        for row in _read("table7_openpangu_closed_world_accuracy.csv")
    }
    return found


def _read(name: str) -> list[dict[str, str]]:
    with (_FOLDER / name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _column(setting: str, unit: str) -> str:
    """`open avg`, `semantic similarity %` -> `open/average/similarity`."""
    asked, side = setting.split(" ")
    measure = "similarity" if unit.startswith("semantic similarity") else "accuracy"
    return f"{asked}/{'average' if side == 'avg' else side}/{measure}"
