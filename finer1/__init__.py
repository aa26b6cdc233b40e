"""finer1: fine-grained visual recognition by chain-of-thought fine-tuning and TAPO."""
