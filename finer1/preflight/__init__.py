"""What is looked at before a long run: the model, versions, space."""
