"""The try-it page, in Gradio, on this machine alone: nothing is fetched from or sent elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData

from finer1.local_page import html, launch
from finer1.notices import notice
from finer1.tryout.desk import CorrectionDesk, Shown, tell
from finer1.tryout.fields import MOST_VOTES, asked_of
from finer1.tryout.setting import Setting
from finer1.tryout.view import View

_MODES = [("open question", "open"), ("from a list", "list")]
_KEYS = (
    '<p class="keys">Enter recognizes (Ctrl+Enter in a text), Ctrl+V pastes an image, W goes to '
    "the right name, C copies the JSON</p>"
)
_EMPTY = '<p class="empty">The answer appears here as it is written.</p>'
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_PLACES = 8
"""People that look at the page at once."""


def _as_it_came(image: gr.Image, payload: ImageData | None) -> str | None:
    """The path of an upload, which we open ourselves and say what is wrong with it."""
    return payload.path if payload else None


# Not in a class of ours: for one Gradio writes a .pyi file beside this one.
setattr(gr.Image, "preprocess", _as_it_came)  # noqa: B010


def serve(
    setting: Setting, desk: CorrectionDesk, view: View, port: int | None, opens_browser: bool
) -> tuple[gr.Blocks, str]:
    """Start the page in a thread; returns it and its address.

    port: None takes the first free one from 7860 on. Raises OSError when none is free.
    """
    blocks = build_page(setting, desk, view)
    blocks.queue(default_concurrency_limit=_PLACES)
    return blocks, launch(blocks, Path(__file__).parent, port, opens_browser)


def build_page(setting: Setting, desk: CorrectionDesk, view: View) -> gr.Blocks:
    """The page and what its buttons do."""
    # Uploads are removed an hour after the last look at them.
    with gr.Blocks(title="finer1", analytics_enabled=False, delete_cache=(3600, 3600)) as blocks:
        shown = gr.State(None)
        with gr.Row(elem_id="page"):
            with gr.Column(scale=4, min_width=300, elem_id="ask"):
                fields = _question(setting)
                recognize = gr.Button("Recognize (Enter)", variant="primary", elem_id="recognize")
                html("keys", value=_KEYS)
            with gr.Column(scale=7, min_width=300, elem_id="told"):
                with gr.Row(elem_id="cards"):
                    cards = [html("card", value=_EMPTY), html("base", visible=False)]
                correction = _correction(desk)
        actions = _Actions(setting, desk, view)
        told = [*cards, shown, *(correction[name] for name in ("panel", "message", "right"))]
        asking = recognize.click(
            actions.recognize,
            [fields["image"], *(fields[name] for name in _ASKED)],
            told,
            trigger_mode="once",
            **_QUIET,
        )
        # Not its change: that comes again when the page is updated, and would end the asking.
        others = [fields["image"].upload, fields["image"].clear, *fields["examples"]]
        # First and alone: after `clear` it would end what was asked meanwhile about the new image.
        gr.on(others, None, None, None, cancels=[asking], **_QUIET)
        gr.on(others, actions.clear, None, told, **_QUIET)
        _wire_question(fields, actions)
        for button, action in (("keep", actions.correct), ("back", actions.take_back)):
            correction[button].click(
                action,
                [shown, correction["right"]],
                correction["message"],
                trigger_mode="once",
                concurrency_id="corrections",
                concurrency_limit=1,
                **_QUIET,
            )
    return blocks


_ASKED = ("mode", "names", "category", "votes", "temperature", "beside")


def _question(setting: Setting) -> dict[str, Any]:
    """The fields that say what is asked."""
    image = gr.Image(
        label="Image: drop, paste or choose a file",
        sources=["upload", "clipboard"],
        type="filepath",
        height=260,
        buttons=[],
        elem_id="image",
    )
    chosen = []
    if setting.examples:
        examples = gr.Examples(
            [[str(path)] for path in setting.examples],
            image,
            label="Examples (training images)",
            cache_examples=False,
            api_visibility="private",
            examples_per_page=len(setting.examples),
            elem_id="examples",
        )
        chosen.append(examples.dataset.click)
    mode, names, category = _kind(setting)
    votes, temperature = _drawing(setting)
    beside = gr.Checkbox(
        label=f"{setting.base.title} beside it" if setting.base else "",
        visible=setting.base is not None,
        container=False,
        elem_id="beside",
    )
    found = (image, mode, names, category, votes, temperature, beside)
    return {**dict(zip(("image", *_ASKED), found, strict=True)), "examples": chosen}


def _kind(setting: Setting) -> tuple[gr.Radio, gr.Textbox, gr.Dropdown]:
    """Open or from a list, that list, and what the image shows."""
    first = next(iter(setting.categories), "")
    mode = gr.Radio(_MODES, value="open", label="Question", elem_id="mode")
    names = gr.Textbox(
        "\n".join(setting.names.get(first, ())),
        label="Names to choose from, one per line",
        lines=6,
        max_lines=12,
        visible=False,
        elem_id="names",
    )
    category = gr.Dropdown(
        list(setting.categories),
        value=first or None,
        label="What the image shows",
        allow_custom_value=True,
        visible=len(setting.categories) != 1,
        elem_id="category",
    )
    return mode, names, category


def _drawing(setting: Setting) -> tuple[gr.Number, gr.Number]:
    """How votes are drawn."""
    with gr.Row(elem_id="drawing"):
        votes = gr.Number(
            setting.votes,
            label=f"Votes, 0 to {MOST_VOTES}",
            precision=0,
            min_width=120,
            elem_id="votes",
        )
        temperature = gr.Number(
            setting.temperature,
            label="Temperature",
            step=0.1,
            min_width=120,
            elem_id="temperature",
        )
    return votes, temperature


def _correction(desk: CorrectionDesk) -> dict[str, Any]:
    """Where the right name is picked; there once an answer is."""
    with gr.Column(visible=False, elem_id="wrong") as panel:
        right = gr.Dropdown(
            [(_name(desk, place), place) for place in range(len(desk.choices))],
            value=None,
            label="Wrong? Pick the right one",
            filterable=True,
            elem_id="right",
        )
        with gr.Row():
            keep = gr.Button("Keep as the right one", elem_id="keep", min_width=120)
            back = gr.Button("Take back", elem_id="back", min_width=120)
    return {"panel": panel, "right": right, "keep": keep, "back": back, "message": html("message")}


def _name(desk: CorrectionDesk, place: int) -> str:
    """A sub-category as it is picked; with more where its name alone could be several."""
    dataset, category, label = desk.choices[place]
    alike = [key for key in desk.choices if key[2] == label]
    if len(alike) == 1:
        return label
    same_category = sum(key[1] == category for key in alike) > 1
    return f"{label} ({category}{f', {dataset}' if same_category else ''})"


def _wire_question(fields: dict[str, Any], actions: "_Actions") -> None:
    fields["mode"].change(actions.choose_mode, fields["mode"], fields["names"], **_QUIET)
    fields["category"].change(
        actions.choose_category, fields["category"], fields["names"], **_QUIET
    )


class _Actions:
    """What the buttons do."""

    def __init__(self, setting: Setting, desk: CorrectionDesk, view: View) -> None:
        self._setting = setting
        self._desk = desk
        self._view = view

    def choose_mode(self, mode: str) -> Any:
        return gr.update(visible=mode == "list")

    def choose_category(self, category: str | None) -> Any:
        names = self._setting.names.get(category or "")
        return "\n".join(names) if names else gr.skip()

    def clear(self) -> list[Any]:
        """Nothing is told of an image that is not asked about yet."""
        hidden = gr.update(visible=False)
        return [_EMPTY, gr.update(value="", visible=False), None, hidden, "", None]

    def recognize(
        self,
        path: str | None,
        mode: str,
        names: str,
        category: str | None,
        votes: int | None,
        temperature: float | None,
        beside: bool,
    ) -> Iterator[list[Any]]:
        """Cards as they come, then the panel for a correction."""
        try:
            asked = asked_of(path, mode, names, category, votes, temperature)
        except (ValueError, OSError) as error:
            yield [gr.skip()] * 4 + [notice(str(error), is_error=True), gr.skip()]
            return
        base = self._setting.base if beside else None
        hidden = gr.update(value="", visible=base is not None)
        kept: Shown | None = None
        for told, shown in tell(self._setting.model, asked):
            kept = shown
            # No pick of an earlier answer stays.
            yield [self._view.card(told), hidden, shown, self._panel(shown), "", None]
        for told, _ in tell(base, asked) if base else ():
            other = gr.update(value=self._view.card(told), visible=True)
            yield [gr.skip(), other, kept, gr.skip(), gr.skip(), gr.skip()]

    def correct(self, shown: Shown | None, place: int | None) -> str:
        if shown is None or place is None:
            return notice("pick the right name first", is_error=True)
        try:
            return notice(self._desk.correct(shown, place))
        except (ValueError, OSError) as error:
            return notice(str(error), is_error=True)

    def take_back(self, shown: Shown | None, _: int | None) -> str:
        if shown is None:
            return ""
        try:
            return notice(self._desk.take_back(shown))
        except (ValueError, OSError) as error:
            return notice(str(error), is_error=True)

    def _panel(self, shown: Shown | None) -> Any:
        return gr.update(visible=shown is not None and bool(self._desk.choices))
