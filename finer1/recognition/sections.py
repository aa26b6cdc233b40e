"""What can be read of a completion that is still being written."""

import re

from finer1.prompts import SECTIONS

_BROKEN_TAG = re.compile(r"<[/a-z]{0,11}$")
"""The beginning of a tag at the end of the text."""


def sections_so_far(text: str) -> dict[str, str]:
    """The sections that have begun, in their order, the last one as far as it is written.

    Empty once they do not come in order; parse_sections judges the finished text.
    """
    found: dict[str, str] = {}
    end = 0
    for name in SECTIONS:
        start = text.find(f"<{name}>", end)
        if start < 0:
            break
        start += len(name) + 2
        close = text.find(f"</{name}>", start)
        body = text[start:] if close < 0 else text[start:close]
        if close < 0:
            body = _BROKEN_TAG.sub("", body)
        found[name] = body.strip()
        if close < 0:
            break
        end = close
    return found
