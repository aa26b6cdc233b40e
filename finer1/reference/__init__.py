"""What is published about the six datasets and the method: lists, tables, hashes; facts only."""
