"""The review page, in Gradio, on this machine alone: nothing is fetched from or sent elsewhere."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import gradio as gr

from finer1.local_page import html, launch
from finer1.notices import notice
from finer1.review.desk import Desk
from finer1.review.texts import Texts, texts_of
from finer1.review.view import View
from finer1.teacher.decisions import REJECT_REASONS

_LABELS = {
    "prose": "Rationale (released prose)",
    "analysis": "Visual analysis",
    "options": "Candidate sub-categories, one per line",
    "comparison": "Comparison",
    "prediction": "Prediction",
}
_LINES = {"prose": 16, "analysis": 4, "options": 4, "comparison": 6, "prediction": 1}
_NAMES = tuple(field.name for field in fields(Texts))
_KEYS = (
    '<p class="keys">A accept, R reject, E edit, U undo, arrows to move, Z enlarge; in a text: '
    "Esc to leave it, Ctrl+Enter to accept</p>"
)
_EVENT: dict[str, Any] = {
    "show_progress": "hidden",
    "api_visibility": "private",
    # A second press before the answer would fall on the next rationale.
    "trigger_mode": "once",
    # One after the other, whatever the buttons: each answer moves the place.
    "concurrency_id": "desk",
    "concurrency_limit": 1,
}
_ANSWERED = "() => document.dispatchEvent(new Event('answered'))"
"""Tells page.js that keys may press buttons again."""


def serve(desk: Desk, view: View, port: int | None, opens_browser: bool) -> tuple[gr.Blocks, str]:
    """Start the page in a thread; returns it and its address.

    port: None takes the first free one from 7860 on. Raises OSError when none is free.
    """
    blocks = build_page(desk, view)
    blocks.queue(default_concurrency_limit=1)
    return blocks, launch(blocks, Path(__file__).parent, port, opens_browser)


def build_page(desk: Desk, view: View) -> gr.Blocks:
    """The page and what its buttons do."""
    with gr.Blocks(title="finer1 review", analytics_enabled=False) as blocks:
        place = gr.State(0)
        # Goes with the fields: the place may have moved on since they were filled.
        mark = gr.Textbox(visible="hidden", elem_id="mark")
        head = html("head")
        with gr.Row():
            with gr.Column(scale=5, min_width=320):
                evidence = html("evidence")
            with gr.Column(scale=7, min_width=320):
                with gr.Column(elem_id="texts"):
                    texts = [_field(name) for name in _NAMES]
                reasons = gr.CheckboxGroup(
                    choices=[(words, name) for name, words in REJECT_REASONS.items()],
                    label="Why it is rejected",
                    elem_id="reasons",
                )
        with gr.Column(elem_id="bar"):
            message = html("message")
            with gr.Row(elem_id="verdicts"):
                accept = gr.Button("Accept (A)", variant="primary", elem_id="accept")
                reject = gr.Button("Reject (R)", variant="stop", elem_id="reject")
                gr.Button("Edit (E)", elem_id="edit")
                undo = gr.Button("Undo (U)", elem_id="undo")
                previous = gr.Button("Previous", elem_id="previous")
                following = gr.Button("Next", elem_id="next")
            gr.HTML(_KEYS, js_on_load=None)
        actions = _Actions(desk, view)
        outputs = [place, mark, head, evidence, message, reasons, *texts]
        blocks.load(actions.open, None, outputs, **_EVENT)
        for button, action, inputs in (
            (accept, actions.accept, [place, mark, *texts]),
            (reject, actions.reject, [place, mark, reasons]),
            (undo, actions.undo, [place]),
            (previous, actions.previous, [place]),
            (following, actions.next, [place]),
        ):
            button.click(action, inputs, outputs, **_EVENT).then(None, js=_ANSWERED)
        place.change(None, js="() => window.scrollTo(0, 0)")
    return blocks


def _field(name: str) -> gr.Textbox:
    lines = _LINES[name]
    return gr.Textbox(
        label=_LABELS[name], lines=lines, max_lines=3 * lines, interactive=True, elem_id=name
    )


class _Actions:
    """What the buttons do; each answers with all that the page then shows."""

    def __init__(self, desk: Desk, view: View) -> None:
        self._desk = desk
        self._view = view

    def open(self) -> list[Any]:
        return self._show(self._desk.next_open(0), "")

    def accept(self, place: int, mark: str, *texts: str) -> list[Any]:
        fields = Texts(*(text or "" for text in texts))
        return self._judge(place, mark, "Accepted", lambda: self._desk.accept(place, fields))

    def reject(self, place: int, mark: str, reasons: list[str]) -> list[Any]:
        return self._judge(place, mark, "Rejected", lambda: self._desk.reject(place, reasons))

    def undo(self, place: int) -> list[Any]:
        try:
            undone = self._desk.undo()
        except (ValueError, OSError) as error:
            return self._refuse(str(error))
        if undone is None:
            return self._refuse("Nothing of yours is left to undo.")
        text = f"Took back your verdict on {self._name(undone)}"
        left = self._desk.standing().get(self._desk.items[undone].key)
        return self._show(undone, f"{text}; one of {left.reviewer} stands." if left else f"{text}.")

    def previous(self, place: int) -> list[Any]:
        return self._show(max(place - 1, 0), "")

    def next(self, place: int) -> list[Any]:
        return self._show(min(place + 1, len(self._desk.items) - 1), "")

    def _judge(self, place: int, mark: str, word: str, write: Callable[[], None]) -> list[Any]:
        try:
            self._desk.check_shown(place, mark)
        except ValueError as error:
            return self._show(place, str(error), is_error=True)
        try:
            write()
        except (ValueError, OSError) as error:
            return self._refuse(str(error))
        return self._show(self._desk.next_open(place), f"{word}: {self._name(place)}.")

    def _show(self, place: int, text: str, is_error: bool = False) -> list[Any]:
        rationale = self._desk.shown(place)
        decision = self._desk.standing().get(self._desk.items[place].key)
        is_prose = rationale.completion is not None
        shown = vars(texts_of(rationale))
        return [
            place,
            self._desk.mark(place),
            self._view.head(place),
            self._view.evidence(place),
            notice(text, is_error),
            gr.update(value=list(decision.reasons) if decision else []),
            *(gr.update(value=shown[n], visible=is_prose == (n == "prose")) for n in _NAMES),
        ]

    def _refuse(self, text: str) -> list[Any]:
        """Leave all as it stands, what was typed included."""
        return [gr.skip()] * 4 + [notice(text, is_error=True)] + [gr.skip()] * (1 + len(_NAMES))

    def _name(self, place: int) -> str:
        return self._desk.items[place].rationale.label
