"""What a model's hidden states hold: linear probe, similarity by genus, true and false names."""
