// @ts-check
// <live-tail data-address>: puts events on top of the list as they come, until
// it is told to pause.
import { plural } from "./pure.js";

const MAX_WAITING = 500; // events, while it pauses
const MAX_SHOWN = 500;

class LiveTail extends HTMLElement {
  #button = document.createElement("button");
  #said = document.createElement("span");
  /** @type {EventSource | null} */
  #source = null;
  #paused = false;
  #came = 0;
  /** @type {HTMLElement[]} */
  #waiting = [];

  connectedCallback() {
    if (this.#button.isConnected) {
      return;
    }
    this.#button.type = "button";
    this.#button.className = "plain";
    this.#button.textContent = "Follow live";
    this.#button.addEventListener("click", () => this.#press());
    this.#said.setAttribute("role", "status");
    this.replaceChildren(this.#button, " ", this.#said);
  }

  disconnectedCallback() {
    this.#source?.close();
    this.#source = null;
  }

  #press() {
    if (!this.#source) {
      this.#follow();
      return;
    }
    this.#paused = !this.#paused;
    if (!this.#paused) {
      for (const item of this.#waiting.splice(0)) {
        this.#put(item);
      }
    }
    this.#say();
  }

  #follow() {
    const source = new EventSource(this.dataset.address ?? "/tail");
    this.#source = source;
    source.addEventListener("open", () => this.#say());
    source.addEventListener("row", (e) => this.#row(e.data));
    source.addEventListener("error", () => {
      if (source.readyState !== EventSource.CLOSED) {
        this.#said.textContent = "The connection was lost; trying again.";
        return;
      }
      this.#source = null;
      this.#button.textContent = "Follow live";
      this.#said.textContent = "The log ended the connection.";
    });
    this.#button.textContent = "Pause";
    this.#said.textContent = "Connecting…";
  }

  /** @param {string} html as the page itself has it, from the same server */
  #row(html) {
    const made = document.createElement("template");
    made.innerHTML = html;
    const item = made.content.querySelector("li");
    if (!item || document.getElementById(item.id)) {
      return;
    }
    this.#came++;
    if (!this.#paused) {
      this.#put(item);
    } else if (this.#waiting.length < MAX_WAITING) {
      this.#waiting.push(item);
    } else {
      this.#source?.close();
      this.#source = null;
      this.#button.textContent = "Follow live";
      this.#said.textContent = `More than ${plural(MAX_WAITING, "event")} came meanwhile. Reload to see them.`;
      return;
    }
    this.#say();
  }

  /** @param {HTMLElement} item */
  #put(item) {
    const list = document.querySelector(".events");
    item.classList.add("fresh");
    list?.prepend(item);
    while (list && list.children.length > MAX_SHOWN) {
      list.lastElementChild?.remove();
    }
    document.querySelector("[data-empty]")?.remove();
  }

  #say() {
    this.#button.textContent = this.#paused ? "Go on" : "Pause";
    if (this.#paused) {
      this.#said.textContent = `Paused: ${plural(this.#waiting.length, "event")} waiting.`;
    } else if (this.#came === 0) {
      this.#said.textContent = "Following. Nothing new yet.";
    } else {
      this.#said.textContent = `Following: ${plural(this.#came, "event")} came.`;
    }
  }
}

customElements.define("live-tail", LiveTail);
