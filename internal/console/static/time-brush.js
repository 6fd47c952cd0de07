// @ts-check
// <time-brush> around a histogram: drag over it to look at that time only.
import { narrowed, timesBetween } from "./pure.js";

const CLICK = 4; // pixels: a shorter way is a click, on the bar below
const SVG = "http://www.w3.org/2000/svg";

class TimeBrush extends HTMLElement {
  connectedCallback() {
    const svg = this.querySelector("svg");
    if (!svg || svg.querySelector(".brushed")) {
      return;
    }
    const mark = document.createElementNS(SVG, "rect");
    mark.setAttribute("class", "brushed");
    mark.setAttribute("height", "100");
    mark.setAttribute("width", "0");
    svg.append(mark);
    /** @type {number | null} */
    let from = null;
    let dragged = false;
    const place = (/** @type {PointerEvent} */ e) => {
      const box = svg.getBoundingClientRect();
      return (e.clientX - box.left) / box.width;
    };
    svg.addEventListener("dragstart", (e) => e.preventDefault());
    svg.addEventListener("pointerdown", (e) => {
      if (e.button === 0) {
        from = place(e);
        dragged = false;
      }
    });
    svg.addEventListener("pointermove", (e) => {
      if (from === null) {
        return;
      }
      const to = place(e);
      if (!dragged && Math.abs(to - from) * svg.clientWidth < CLICK) {
        return;
      }
      if (!dragged) {
        dragged = true;
        svg.setPointerCapture(e.pointerId);
      }
      mark.setAttribute("x", `${Math.min(from, to) * 1000}`);
      mark.setAttribute("width", `${Math.abs(to - from) * 1000}`);
    });
    svg.addEventListener("pointerup", (e) => {
      if (from !== null && dragged) {
        const times = timesBetween(Number(this.dataset.begin), Number(this.dataset.end), from, place(e));
        location.assign(narrowed(`${location.pathname}${location.search}`, times));
      }
      from = null;
    });
    svg.addEventListener("pointercancel", () => {
      from = null;
      mark.setAttribute("width", "0");
    });
    svg.addEventListener(
      "click",
      (e) => {
        if (dragged) {
          e.preventDefault();
        }
      },
      true,
    );
  }
}

customElements.define("time-brush", TimeBrush);
