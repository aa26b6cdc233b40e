"use strict";
/* Keys: Enter recognizes (Ctrl+Enter in a text), W goes to the right name, C copies the JSON, Esc
   leaves a field. A pasted image takes the place of the one that is there. */
(() => {
  const find = (selector) => document.querySelector(selector);
  const copy = async (button) => {
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.json);
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy JSON"; }, 2000);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".copy");
    if (button) copy(button);
  });
  document.addEventListener("keydown", (event) => {
    const isOrder = event.ctrlKey || event.metaKey;
    if (event.target.matches?.("textarea, input:not([type=checkbox], [type=radio], [type=range])")) {
      if (event.key === "Escape") event.target.blur();
      if (event.key === "Enter" && isOrder) {
        event.target.blur(); // what was typed counts
        find("#recognize")?.click();
      }
      return;
    }
    if (isOrder || event.altKey || event.repeat) return;
    const key = event.key.toLowerCase();
    const pressesItself = event.target.matches?.("button, summary, a");
    if (key === "enter" && !pressesItself) find("#recognize")?.click();
    else if (key === "w") find("#right input")?.focus();
    else if (key === "c") copy(find("#card .copy"));
    else return;
    event.preventDefault();
  });
  const patience = 50;
  const put = (files, tries) => {
    const field = find("#image input[type=file]");
    if (field) {
      field.files = files;
      field.dispatchEvent(new Event("change", { bubbles: true }));
    } else if (tries > 0) setTimeout(() => put(files, tries - 1), 20);
  };
  document.addEventListener("paste", (event) => {
    const images = [...(event.clipboardData?.files ?? [])].filter((f) => f.type.startsWith("image/"));
    if (!images.length) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const files = new DataTransfer();
    files.items.add(images[0]);
    if (!find("#image input[type=file]")) find('#image button[aria-label="Remove Image"]')?.click();
    put(files.files, patience);
  }, true);
})();
