"""The embedded world: drawn classes, a tiny base model, and a teacher that knows them all."""
