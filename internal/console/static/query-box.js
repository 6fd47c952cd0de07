// @ts-check
// <query-box> around the input of a query: what may be typed next, from the log.
import { columnAt, put } from "./pure.js";

const PAUSE = 120; // milliseconds without a key before the log is asked

/** @typedef {{start: number, end: number, values: {text: string, show: string}[]}} Completion */

let boxes = 0;

class QueryBox extends HTMLElement {
  /** @type {HTMLInputElement | null} */
  #input = null;
  #list = document.createElement("ul");
  /** @type {Completion} */
  #offered = { start: 1, end: 1, values: [] };
  #chosen = -1;
  #timer = 0;
  #asking = new AbortController();

  connectedCallback() {
    const input = this.querySelector("input");
    if (!input || this.#input) {
      return;
    }
    this.#input = input;
    const list = this.#list;
    list.id = `choices-${boxes++}`;
    list.className = "choices";
    list.hidden = true;
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "What may be typed here");
    this.append(list);
    for (const [name, value] of Object.entries({
      role: "combobox",
      "aria-autocomplete": "list",
      "aria-controls": list.id,
      "aria-expanded": "false",
    })) {
      input.setAttribute(name, value);
    }
    input.addEventListener("input", () => this.#soon());
    input.addEventListener("keydown", (e) => this.#key(e));
    input.addEventListener("blur", () => this.#close());
    list.addEventListener("mousedown", (e) => e.preventDefault()); // the input keeps the focus
    list.addEventListener("click", (e) => {
      const item = e.target instanceof Element ? e.target.closest("li") : null;
      if (item) {
        this.#take(Array.from(list.children).indexOf(item));
      }
    });
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.#ask(), PAUSE);
  }

  async #ask() {
    const input = this.#input;
    if (!input || document.activeElement !== input) {
      return;
    }
    this.#asking.abort();
    this.#asking = new AbortController();
    const text = input.value;
    const at = columnAt(text, input.selectionStart ?? text.length);
    try {
      const answer = await fetch(`/complete?${new URLSearchParams({ q: text, at: `${at}` })}`, {
        signal: this.#asking.signal,
        headers: { Accept: "application/json" },
      });
      if (answer.ok) {
        this.#offer(await answer.json());
      }
    } catch {
      this.#close(); // another key was pressed, or the log is away: typing goes on without
    }
  }

  /** @param {Completion} offered */
  #offer(offered) {
    this.#offered = offered;
    this.#chosen = -1;
    this.#list.replaceChildren(
      ...offered.values.map(({ show }, i) => {
        const item = document.createElement("li");
        item.id = `${this.#list.id}-${i}`;
        item.setAttribute("role", "option");
        item.setAttribute("aria-selected", "false");
        const text = document.createElement("bdi");
        text.textContent = show;
        item.append(text);
        return item;
      }),
    );
    this.#list.hidden = offered.values.length === 0;
    this.#input?.setAttribute("aria-expanded", `${!this.#list.hidden}`);
    this.#input?.removeAttribute("aria-activedescendant");
  }

  #close() {
    clearTimeout(this.#timer);
    this.#offer({ start: 1, end: 1, values: [] });
  }

  /** @param {KeyboardEvent} e */
  #key(e) {
    const n = this.#offered.values.length;
    if (n === 0 || e.isComposing) {
      return;
    }
    if (e.key === "ArrowDown") {
      this.#choose((this.#chosen + 1) % n);
    } else if (e.key === "ArrowUp") {
      this.#choose(this.#chosen <= 0 ? n - 1 : this.#chosen - 1);
    } else if (e.key === "Escape") {
      this.#close();
    } else if (e.key === "Enter" && this.#chosen >= 0) {
      this.#take(this.#chosen);
    } else {
      return;
    }
    e.preventDefault();
  }

  /** @param {number} i */
  #choose(i) {
    this.#chosen = i;
    Array.from(this.#list.children).forEach((item, k) => {
      item.setAttribute("aria-selected", `${k === this.#chosen}`);
      if (k === this.#chosen) {
        this.#input?.setAttribute("aria-activedescendant", item.id);
        item.scrollIntoView({ block: "nearest" });
      }
    });
  }

  /** @param {number} i */
  #take(i) {
    const input = this.#input;
    const choice = this.#offered.values[i];
    if (!input || !choice) {
      return;
    }
    const { text, at } = put(input.value, this.#offered.start, this.#offered.end, choice.text);
    input.value = text;
    input.setSelectionRange(at, at);
    input.focus();
    this.#close();
    this.#soon();
  }
}

customElements.define("query-box", QueryBox);
