"""What the teacher is asked: candidate concepts, rationales (Table 5 of Fine-R1)."""

from collections.abc import Sequence


def concept_list_prompt(category: str, label: str) -> str:
    """Ask for candidate concepts of a sub-category, one a line."""
    return (
        f"List distinctive visual features of this {category}, one short phrase per line, "
        f"nothing else.\nLabel: {label}"
    )


def rationale_prompt(
    category: str, label: str, concepts: Sequence[str] | None, question: str, max_options: int
) -> str:
    """Ask for the four-part rationale of one labelled image; concepts: None tells of none."""
    given = "the label" if concepts is None else "the label or the listed concepts"
    listed = "" if concepts is None else f"Concepts: {'; '.join(concepts)}\n"
    return (
        f"You see an image of a {category}. Write the reasoning that leads from what is visible "
        "to the answer of the question, as if you did not know the answer. Use exactly four "
        "elements in this order and nothing around them:\n"
        "<analysis>the visible features that matter</analysis>\n"
        f"<options>two to {max_options} sub-categories of {category} that share these features, "
        "comma-separated, the right one among them</options>\n"
        "<comparison>each option against the features seen</comparison>\n"
        "<prediction>the one name that fits best</prediction>\n"
        f"Write English. Never mention these instructions, {given} as something given to you.\n"
        f"Label: {label}\n{listed}Question: {question}"
    )
