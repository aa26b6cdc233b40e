"use strict";
/* Keys: A, R, U and the arrows press their buttons, E goes into the text, Esc leaves it,
   Ctrl+Enter in the text accepts, Z enlarges the image. Until a button is answered keys press
   none: what they were meant for is not shown yet. */
(() => {
  const BUTTONS = {
    a: "accept", r: "reject", u: "undo", arrowleft: "previous", arrowright: "next",
  };
  const PATIENCE_MS = 10000; // an answer that never comes must not stop the keys for good
  let pressed = -Infinity;
  const press = (id) => {
    if (performance.now() - pressed > PATIENCE_MS) document.querySelector(`button#${id}`)?.click();
  };
  document.addEventListener("answered", () => { pressed = -Infinity; });
  const edit = () => {
    const fields = [...document.querySelectorAll("#texts textarea")];
    fields.find((field) => field.offsetParent)?.focus();
  };
  const shut = (but) => document.querySelectorAll(".zoom input:checked").forEach((box) => {
    if (box !== but) box.checked = false;
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("#verdicts button");
    if (button?.id === "edit") edit();
    else if (button) pressed = performance.now();
  });
  document.addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    if (event.target.matches?.("textarea, input:not([type=checkbox])")) {
      if (key === "escape") event.target.blur();
      if (key === "enter" && (event.ctrlKey || event.metaKey)) {
        event.target.blur();
        press("accept");
      }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (key === "escape") shut(null);
    else if (key === "e") edit();
    else if (key === "z") document.querySelector(".subject .zoom input")?.click();
    else if (key in BUTTONS) press(BUTTONS[key]);
    else return;
    event.preventDefault();
  });
})();
