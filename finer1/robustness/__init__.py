"""Accuracy on damaged images: corruptions, the questions about them, their scores."""
