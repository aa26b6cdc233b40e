"""Families of models that can be trained, a file each, found by model type."""
