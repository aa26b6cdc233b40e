"""The model being trained: its folder, its checkpoints, its forward passes, its samples."""
