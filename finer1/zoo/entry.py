"""An entry of the zoo: a model that this project does not make, and how it is asked.

    finer1/zoo/<name>.yaml

A model is taken as it lies on this disk, or as a server has it; code that comes with weights is
never run. Models that need it are of the kind `server`, which the user starts.
"""

import re
from pathlib import Path
from string import Formatter
from typing import Annotated, Literal

from pydantic import Field, model_validator

from finer1.section import Section
from finer1.section_file import read_section

Kind = Literal["chat", "clip", "server"]
"""chat: an image-text-to-text model of transformers. clip: images and names in one space, by
open_clip. server: a chat model behind an OpenAI-compatible server."""

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
FIELDS = frozenset({"question", "options", "category"})
"""What a model's own template may name: the question, the options as `a; b; c`, the category."""


class OwnPrompts(Section):
    """Templates that the model was trained with; a brace of the text itself is written twice."""

    closed: str
    """Asks a question with options: FIELDS in braces, {options} among them."""
    open: str
    """Asks one without: {question} or {category}, never {options}."""
    system: str = ""
    """The system turn; none when empty."""

    @model_validator(mode="after")
    def _check(self) -> "OwnPrompts":
        for name, text in (("closed", self.closed), ("open", self.open)):
            fields = _fields(name, text)
            if fields - FIELDS:
                raise ValueError(f"{name} names {{{min(fields - FIELDS)}}}; it may name {_NAMES}")
            if ("options" in fields) != (name == "closed"):
                raise ValueError("closed must name {options}, and open must not")
            if name == "open" and not fields:
                raise ValueError("open must name {question} or {category}")
        return self


class ClipTemplates(Section):
    """What a CLIP model is told about a class name."""

    templates: Literal["one", "imagenet80"]
    """`a photo of a <name>`, or the mean over the 80 templates of CLIP for ImageNet."""


class Entry(Section):
    """One model."""

    title: Annotated[str, Field(min_length=1)]
    """Its row of the published tables, or a name for people."""
    kind: Kind
    model: Annotated[str, Field(min_length=1)]
    """chat: an id of the hub, or a folder, relative to the project's. clip: a name as in
    questions.encoder, `open_clip:<model>:<tag>`. server: the name that the server has for it."""
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None
    """Of the hub, chat alone; null takes what `main` is on this disk, and predictions record it."""
    adapter: Path | None
    """Folder of LoRA adapters for it, chat alone; relative to the project's folder."""
    prompts: OwnPrompts | ClipTemplates | None
    """Its own templates, which the strategy `trained` uses; null asks as this project trains."""
    answer_from: Literal["tags", "text"]
    """How its own templates are answered: in an answer element, or by the whole text."""
    tried: Annotated[dict[str, str], Field(min_length=1)]
    """Engine -> what was tried with it, and what was not."""
    notes: str
    """Sources, and what a user should know."""

    @model_validator(mode="after")
    def _check(self) -> "Entry":
        if self.kind != "chat" and (self.commit or self.adapter):
            raise ValueError(f"kind {self.kind} takes neither commit nor adapter; set both to null")
        if self.kind == "clip" and not self.model.startswith("open_clip:"):
            raise ValueError("model: write open_clip:<model>:<tag> for the kind clip")
        if self.prompts and (self.kind == "clip") != isinstance(self.prompts, ClipTemplates):
            raise ValueError(
                "prompts: write `templates: one` or `templates: imagenet80` for the kind clip, "
                "`closed: ...` and `open: ...` for the others"
            )
        if self.kind == "chat" and self.commit and HUB_ID.fullmatch(self.model) is None:
            raise ValueError("commit belongs to a model of the hub, <owner>/<name>; set it to null")
        return self

    @property
    def own_prompts(self) -> OwnPrompts | None:
        """The templates of a model that chats."""
        return self.prompts if isinstance(self.prompts, OwnPrompts) else None


def read_entry(path: Path) -> Entry:
    """The entry in a YAML file. Raises ValueError with one sentence per wrong or missing key."""
    return read_section(Entry, path, "an entry")


_NAMES = ", ".join(f"{{{name}}}" for name in sorted(FIELDS))


def _fields(name: str, text: str) -> set[str]:
    try:
        return {field for _, field, _, _ in Formatter().parse(text) if field is not None}
    except ValueError as error:
        raise ValueError(f"{name}: {error}; write a brace of the text itself twice") from error
