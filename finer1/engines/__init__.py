"""Text generation behind one function; an engine is found by its module's name."""
