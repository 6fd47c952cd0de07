// @ts-check
// <saved-searches>: searches that this browser remembers. They are addresses, so
// that a link to one shows the same to whoever may see it.
import { fromBeginning, readSaved, withSaved } from "./pure.js";

const KEY = "custody-searches";

/** @typedef {import("./pure.js").Saved} Saved */

class SavedSearches extends HTMLElement {
  connectedCallback() {
    this.#show();
  }

  #show() {
    /** @type {Saved[]} */
    let list = [];
    try {
      list = readSaved(localStorage.getItem(KEY));
    } catch {
      return; // this browser keeps nothing
    }
    const items = document.createElement("ul");
    items.append(...list.map((saved) => this.#item(saved, list)));
    const title = document.createElement("h2");
    title.textContent = "Saved searches";
    const canSave = location.pathname === "/search";
    this.replaceChildren(
      ...(list.length > 0 ? [title, items] : []),
      ...(canSave ? [this.#saveButton(list)] : []),
    );
  }

  /**
   * @param {Saved} saved
   * @param {Saved[]} list
   */
  #item(saved, list) {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = saved.address;
    link.append(Object.assign(document.createElement("bdi"), { textContent: saved.name }));
    const forget = document.createElement("button");
    forget.type = "button";
    forget.className = "link";
    forget.textContent = "forget";
    forget.setAttribute("aria-label", `Forget ${saved.name}`);
    forget.addEventListener("click", () => this.#keep(list.filter((s) => s !== saved)));
    item.append(link, " ", forget);
    return item;
  }

  /** @param {Saved[]} list */
  #saveButton(list) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.textContent = "Save this search";
    button.addEventListener("click", () => {
      const address = fromBeginning(`${location.pathname}${location.search}`);
      const asked = new URLSearchParams(location.search);
      const times = ["after", "before"].filter((t) => asked.get(t)).map((t) => `${t} ${asked.get(t)}`);
      const name = [asked.get("q") || "All events", ...times].join(", ");
      this.#keep(withSaved(list, { name, address }));
    });
    return button;
  }

  /** @param {Saved[]} list */
  #keep(list) {
    try {
      localStorage.setItem(KEY, JSON.stringify(list));
    } catch {
      return; // there is no room: all stays as it is shown
    }
    this.#show();
  }
}

customElements.define("saved-searches", SavedSearches);
