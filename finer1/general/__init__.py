"""General benchmarks (Table 8 of Fine-R1), and our questions as a task folder for lmms-eval."""
