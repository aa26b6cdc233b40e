"""One module per stage: read files, call finer1, write files, return metrics."""
