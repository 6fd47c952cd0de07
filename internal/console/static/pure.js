// @ts-check
// What the elements compute, apart from any page, so that it can be tested.

/**
 * Returns text with what stands from column start up to end replaced, and the
 * place behind it. Columns count characters from 1.
 *
 * @param {string} text
 * @param {number} start
 * @param {number} end
 * @param {string} choice
 */
export function put(text, start, end, choice) {
  const all = Array.from(text);
  const before = all.slice(0, start - 1).join("") + choice;
  let after = all.slice(end - 1).join("");
  // A value is done, so the next term may follow; a qualifier waits for its value.
  if (!choice.endsWith(":") && !choice.endsWith(".") && after === "") {
    after = " ";
    return { text: before + after, at: before.length + 1 };
  }
  return { text: before + after, at: before.length };
}

/**
 * Returns the column of a place in text: how many characters stand before it,
 * and one.
 *
 * @param {string} text
 * @param {number} at as browsers count: in UTF-16
 */
export const columnAt = (text, at) => Array.from(text.slice(0, at)).length + 1;

/**
 * Returns the times between two places of a chart, as addresses have them.
 *
 * @param {number} begin of the chart, in milliseconds since 1970
 * @param {number} end
 * @param {number} a a place from 0, its beginning, to 1, its end
 * @param {number} b
 */
export function timesBetween(begin, end, a, b) {
  const [first, last] = [Math.min(a, b), Math.max(a, b)].map((x) => Math.min(1, Math.max(0, x)));
  const second = (/** @type {number} */ ms) => `${new Date(ms).toISOString().slice(0, 19)}Z`;
  const after = Math.floor((begin + first * (end - begin)) / 1000) * 1000;
  const before = Math.max(after + 1000, Math.ceil((begin + last * (end - begin)) / 1000) * 1000);
  return { after: second(after), before: second(before) };
}

/**
 * Returns the address of a view between two times, from its beginning.
 *
 * @param {string} address path and parameters
 * @param {{after: string, before: string}} times
 */
export function narrowed(address, times) {
  const url = new URL(address, "http://here.invalid");
  url.searchParams.set("after", times.after);
  url.searchParams.set("before", times.before);
  return fromBeginning(`${url.pathname}${url.search}`);
}

/**
 * Returns the address of the first page of a view.
 *
 * @param {string} address path and parameters
 */
export function fromBeginning(address) {
  const url = new URL(address, "http://here.invalid");
  url.searchParams.delete("cursor");
  url.searchParams.delete("count");
  return `${url.pathname}${url.search}`;
}

/** @typedef {{name: string, address: string}} Saved */

const MAX_SAVED = 50;
const MAX_NAME = 200;

/**
 * Reads saved searches. What is not one of ours is left out: the storage is
 * shared with whatever else this address ever served.
 *
 * @param {string | null} json
 * @returns {Saved[]}
 */
export function readSaved(json) {
  let list;
  try {
    list = JSON.parse(json ?? "[]");
  } catch {
    return [];
  }
  if (!Array.isArray(list)) {
    return [];
  }
  const isSaved = (/** @type {any} */ s) =>
    typeof s?.name === "string" && typeof s?.address === "string" && /^\/search(\?|$)/.test(s.address);
  return list.filter(isSaved).map(({ name, address }) => ({ name: name.slice(0, MAX_NAME), address }));
}

/**
 * Returns list with a search at its beginning, and not twice.
 *
 * @param {Saved[]} list
 * @param {Saved} saved
 */
export function withSaved(list, saved) {
  const others = list.filter((s) => s.address !== saved.address);
  return [{ name: saved.name.slice(0, MAX_NAME), address: saved.address }, ...others].slice(0, MAX_SAVED);
}

/**
 * Says what a receipt proves of the fields that a page shows.
 *
 * @param {{seq: number, size: number, hidden: number, fields: {name: string, text: string}[]}} proved
 * @param {Map<string, string>} shown values by the name of the field
 * @param {number} seq of the event that the page shows
 * @returns {{agrees: boolean, sentence: string}}
 */
export function verdict(proved, shown, seq) {
  if (proved.seq !== seq) {
    return {
      agrees: false,
      sentence: `Checked in this browser: the receipt is of event ${proved.seq}, not of event ${seq}.`,
    };
  }
  const signed = new Map(proved.fields.map((f) => [f.name, f.text]));
  const wrong = [...shown].filter(([name, text]) => signed.get(name) !== text).map(([name]) => name);
  if (wrong.length > 0) {
    return {
      agrees: false,
      sentence: `Checked in this browser: the page shows what was not signed, in ${wrong.join(", ")}.`,
    };
  }
  const rest = proved.hidden === 0 ? "" : `; ${proved.hidden} more of its fields are not shown to you`;
  return {
    agrees: true,
    sentence:
      `Checked in this browser: it is event ${proved.seq} of a log of ${proved.size}. ` +
      `${plural(shown.size, "field")} shown here ${shown.size === 1 ? "is" : "are"} as signed${rest}.`,
  };
}

/**
 * Returns how many things there are.
 *
 * @param {number} n
 * @param {string} thing
 */
export const plural = (n, thing) => `${n.toLocaleString("en")} ${thing}${n === 1 ? "" : "s"}`;
