"""Where the artifacts of a run lie."""

from pathlib import Path

from finer1.section import Section


class Paths(Section):
    """Where every artifact lies, relative to the project's folder."""

    base: Path
    """The base model: a Hugging Face folder (config, safetensors, tokenizer, processor)."""
    bases: Path
    """Folder of the bases that the stage `pretrain` makes."""
    raw: Path
    """Folder of downloads and of what they were extracted to; not tracked."""
    own: Path
    """Folder of datasets that `finer1 data add` made."""
    released: Path
    """Folder of the released question files and rationales; `finer1 data released` fills it."""
    images: Path
    """Folder with an uncompressed zip archive of images per dataset."""
    index: Path
    """ImageRecord rows."""
    audit: Path
    """What was found on looking at the images, JSON."""
    splits: Path
    """SplitRecord rows."""
    concepts: Path
    """Concepts rows."""
    rationales: Path
    """Rationale rows that passed the filters."""
    cot_yield: Path
    """Asked, kept and rejected (with reason) per class, CSV."""
    queue: Path
    """Queued rows: rationales that enter only by a human decision."""
    decisions: Path
    """Human decisions, Decision rows; an input."""
    corrections: Path
    """Folder of images that were put right on the try-it page; `finer1 improve` takes them into a
    dataset of one's own."""
    reviewed: Path
    """Rationale rows after the human decisions."""
    sft: Path
    """The model after stage 1, a Hugging Face folder."""
    triplets: Path
    """Triplet rows."""
    questions: Path
    """Question rows."""
    tapo: Path
    """The model after stage 2, a Hugging Face folder."""
    predictions: Path
    """Folder of Prediction rows, a file per model."""
    taxonomy: Path
    """Levels above the sub-categories, CSV; an input, which may hold no row."""
    verdicts: Path
    """Verdict rows of all models."""
    metrics: Path
    """Folder of metrics, a JSON file per stage."""
    logs: Path
    """Folder of metrics over steps, a JSON-lines file per training stage, triplets.jpg, the contact
    sheet of the stage `triplets`, and concept_pairs.png, Figure 5 of the stage `report`."""
    report: Path
    """The HTML report."""
    results: Path
    """The figures of the report's tables, CSV."""
    experiments: Path
    """Folder of the tables of experiments, and of their page; no stage makes it."""
