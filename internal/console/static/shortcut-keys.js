// @ts-check
// <shortcut-keys> around their description: / to the box, j and k through the
// events, o to open one; and a way to turn them off, for those who speak to their
// computer or press keys by accident.

const KEY = "custody-keys";

/** Reports whether the keys are in use; they are unless somebody said no. */
function inUse() {
  try {
    return localStorage.getItem(KEY) !== "off";
  } catch {
    return true;
  }
}

/**
 * Goes some events on in the list.
 *
 * @param {number} by
 */
function go(by) {
  const items = Array.from(document.querySelectorAll(".events > li"));
  const at = items.findIndex((item) => item.contains(document.activeElement));
  const next = items[at < 0 ? 0 : at + by];
  if (next instanceof HTMLElement) {
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }
}

function open() {
  const details = document.activeElement?.closest(".events > li")?.querySelector("details");
  if (details) {
    details.open = !details.open;
  }
}

document.addEventListener("keydown", (e) => {
  const typing =
    e.target instanceof Element && e.target.closest("input, textarea, select, [contenteditable]");
  if (typing || e.ctrlKey || e.altKey || e.metaKey || e.isComposing || !inUse()) {
    return;
  }
  const box = document.querySelector("query-box input");
  if (e.key === "/" && box instanceof HTMLInputElement) {
    e.preventDefault();
    box.focus();
    box.select();
  } else if (e.key === "j") {
    go(1);
  } else if (e.key === "k") {
    go(-1);
  } else if (e.key === "o") {
    open();
  }
});

class ShortcutKeys extends HTMLElement {
  connectedCallback() {
    if (this.querySelector("input")) {
      return;
    }
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = inUse();
    box.addEventListener("change", () => {
      try {
        localStorage.setItem(KEY, box.checked ? "on" : "off");
      } catch {
        box.checked = true; // this browser keeps nothing
      }
    });
    const label = document.createElement("label");
    label.append(box, " Use these keys");
    this.append(label);
  }
}

customElements.define("shortcut-keys", ShortcutKeys);
