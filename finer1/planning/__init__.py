"""What a run will need: memory by phase, disk, tokens and time, computed before anything runs."""
