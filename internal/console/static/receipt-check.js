// @ts-check
// <receipt-check> around the link to a receipt: fetches it and checks it here,
// and that the page shows what it proves.
import { verdict } from "./pure.js";
import { verifyReceipt } from "./receipt.js";

class ReceiptCheck extends HTMLElement {
  #said = document.createElement("p");

  connectedCallback() {
    const link = this.querySelector("a[download]");
    if (!(link instanceof HTMLAnchorElement) || this.querySelector("button")) {
      return;
    }
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.textContent = "Check it in this browser";
    button.addEventListener("click", async () => {
      button.disabled = true;
      await this.#check(link);
      button.disabled = false;
    });
    this.#said.className = "state";
    this.#said.setAttribute("role", "status");
    link.parentElement?.append(button);
    this.append(this.#said);
  }

  /** @param {HTMLAnchorElement} link */
  async #check(link) {
    this.#say("Fetching the receipt…", true);
    let text = "";
    try {
      const answer = await fetch(link.href, { cache: "no-store" });
      if (!answer.ok) {
        this.#say("There is no receipt yet, or not for you. Try again in a second.", false);
        return;
      }
      text = await answer.text();
    } catch {
      this.#say("The log could not be reached. Try again.", false);
      return;
    }
    try {
      const { agrees, sentence } = verdict(await this.#verify(text), this.#shown(), seqOf(link));
      this.#say(sentence, agrees);
    } catch (e) {
      const why = e instanceof Error ? e.message : "it cannot be read";
      this.#say(`Checked in this browser: the receipt proves nothing: ${why}.`, false);
    }
  }

  /**
   * Checks a receipt with each of the log's keys: while one is replaced there are
   * two.
   *
   * @param {string} text
   */
  async #verify(text) {
    const keys = document.querySelector('meta[name="log-keys"]')?.getAttribute("content")?.split(" ") ?? [];
    /** @type {unknown} */
    let why = new Error("the page names no key");
    for (const key of keys) {
      try {
        return await verifyReceipt(text, key);
      } catch (e) {
        why = e;
      }
    }
    throw why;
  }

  /** Returns the fields that the page shows of the event. */
  #shown() {
    const fields = new Map();
    for (const cell of (this.closest(".events > li") ?? document).querySelectorAll("[data-field]")) {
      fields.set(cell.getAttribute("data-field") ?? "", textOf(cell.querySelector("bdi")));
    }
    return fields;
  }

  /**
   * @param {string} sentence
   * @param {boolean} good
   */
  #say(sentence, good) {
    this.#said.textContent = sentence;
    this.#said.classList.toggle("trouble", !good);
  }
}

/** @param {HTMLAnchorElement} link */
const seqOf = (link) => Number(new URL(link.href).pathname.split("/")[2]);

/**
 * Returns a value as it is: characters that cannot be seen stand on the page by
 * their numbers, each in an element.
 *
 * @param {Element | null} value
 */
function textOf(value) {
  return Array.from(value?.childNodes ?? [], (part) => {
    const text = part.textContent ?? "";
    return part instanceof Element ? String.fromCodePoint(Number.parseInt(text.slice(2), 16)) : text;
  }).join("");
}

customElements.define("receipt-check", ReceiptCheck);
