"""Stage 2: triplet-augmented policy optimization (Sec. 4.3 of Fine-R1, arXiv:2602.07605)."""
