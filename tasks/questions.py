"""Stage `questions`: what every model will be asked.

    python -m tasks.questions

Reads paths.splits; writes paths.questions.
"""

from collections import Counter

from finer1.evaluation.questions import build_questions
from finer1.records import SplitRecord, read_jsonl, write_jsonl
from tasks.stage import Context, main


def questions(context: Context) -> dict[str, float]:
    """Write the questions; the metrics count them and say where the right option stands."""
    paths = context.params.paths
    splits = read_jsonl(paths.splits, SplitRecord)
    asked = build_questions(splits, context.params.questions, context.params.seed)
    write_jsonl(paths.questions, asked)
    closed = [item for item in asked if item.setting == "closed"]
    positions = Counter(item.options.index(item.label) + 1 for item in closed)
    sources = Counter(item.source for item in closed)
    context.log_table(
        "questions",
        [
            {
                "id": item.id,
                "question": item.text,
                "options": "; ".join(item.options),
                "label": item.label,
                "seen": item.seen,
            }
            for item in asked[:200]
        ],
    )
    return {
        "questions/count": len(asked),
        "questions/images_seen": sum(item.seen for item in closed),
        "questions/images_unseen": sum(not item.seen for item in closed),
        "questions/classes_seen": len({(i.category, i.label) for i in closed if i.seen}),
        "questions/classes_unseen": len({(i.category, i.label) for i in closed if not i.seen}),
        **{f"questions/truth_at_position_{place}": positions[place] for place in sorted(positions)},
        **{f"questions/options_from_{name}": sources[name] for name in sorted(sources)},
    }


if __name__ == "__main__":
    main("questions", questions)
