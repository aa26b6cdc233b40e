"""Durations in words."""


def about(seconds: float) -> str:
    """`about 14 min`: what is expected, no more precise than it can be."""
    if seconds < 90:
        return f"about {max(seconds, 10):.0f} s"
    if seconds < 120 * 60:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.1f} h"
