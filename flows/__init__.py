"""Order and schedule of the stages, and the command line."""
