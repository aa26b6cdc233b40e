"""Image embeddings by name, for triplets and for the options of questions."""
