"""Where the pages lie that others name."""

EXPERIMENTS_PAGE = "index.html"
"""The page of the experiments' tables, in paths.experiments."""
