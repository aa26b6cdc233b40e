"""Models that can be asked, an entry each, and how an entry or a folder is loaded."""
