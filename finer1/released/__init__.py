"""The published files of Fine-R1 (evaluation questions, stage-1 rationales) on one's own images."""
