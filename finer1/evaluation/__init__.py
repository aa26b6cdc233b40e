"""Judging what a model wrote: answers, accuracies, intervals."""
