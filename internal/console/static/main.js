// @ts-check
// What scripts add to pages that are complete without them. Each module defines
// one element; an element that is not on the page costs nothing.
import "./live-tail.js";
import "./query-box.js";
import "./receipt-check.js";
import "./saved-searches.js";
import "./shortcut-keys.js";
import "./time-brush.js";
