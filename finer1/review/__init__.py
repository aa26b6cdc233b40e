"""Human review of rationales: what is to be judged, the page, and the file of decisions."""
