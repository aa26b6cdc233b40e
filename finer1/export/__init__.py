"""A trained model as a plain Hugging Face folder with a card; its rationales as a data set."""
