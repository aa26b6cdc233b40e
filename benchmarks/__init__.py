"""TAPO's update against TRL's own path: equality first, then time, memory, tokens and FLOPs."""
