"""What people read of a run: the HTML page and the tables for terminal and README."""
