"""The teacher side: captions, visual concepts, rationales and their filters."""
