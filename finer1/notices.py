"""Lines by which a page tells what it has done."""

from markupsafe import Markup


def notice(text: str, is_error: bool = False) -> str:
    """A line about what was just done, or why it was not, as HTML."""
    kind = "error" if is_error else "done"
    return str(Markup('<p class="notice {}" role="status">{}</p>').format(kind, text))
