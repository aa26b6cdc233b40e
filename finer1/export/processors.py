"""The processor of a model folder in both forms that readers know.

transformers 5 keeps all parts of a processor in processor_config.json. Older readers, and programs
that read files themselves, want preprocessor_config.json and video_preprocessor_config.json.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from finer1.chat import chat_template
from finer1.files import write_atomic, write_json

NEW_FORM = "processor_config.json"
OLD_FORM = {
    "image_processor": "preprocessor_config.json",
    "video_processor": "video_preprocessor_config.json",
}
"""Part of a processor -> its file."""
_TEMPLATE = "chat_template.jinja"


def complete_processor(folder: Path) -> None:
    """Write what a folder lacks of the two forms, and the chat template as a file of its own.

    What is there stays as it is. Raises ValueError for a model without a chat template.
    """
    from finer1.policy.folder import load_processor

    processor = load_processor(folder)
    if not (folder / NEW_FORM).is_file():
        write_json(folder / NEW_FORM, _saved(processor, NEW_FORM))
    for part, name in OLD_FORM.items():
        if hasattr(processor, part) and not (folder / name).is_file():
            # Older readers find the processor's class by this file alone.
            owner = {"processor_class": type(processor).__name__}
            write_json(folder / name, _saved(getattr(processor, part), name) | owner)
    if not (folder / _TEMPLATE).is_file():
        write_atomic(folder / _TEMPLATE, chat_template(processor).encode())


def _saved(part: Any, name: str) -> dict[str, Any]:
    """What a processor, or a part of one, writes into the file of that name."""
    with TemporaryDirectory() as scratch:
        part.save_pretrained(scratch)
        return dict(json.loads((Path(scratch) / name).read_text(encoding="utf-8")))
