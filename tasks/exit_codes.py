"""Exit codes of the stages and of every command around them."""

FAILED = 1
BAD_INPUT = 2
"""Settings or data; the same again would fail the same way."""
MACHINE = 3
"""Disk, memory, a service: worth another try."""
