"""The try-it page: one image in, the answer as it is written, and what was wrong put right."""
