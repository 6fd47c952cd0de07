// What the console's scripts compute, apart from any page: places in a query,
// times in a chart, what is kept in a browser, and what a receipt says of a page.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  columnAt,
  fromBeginning,
  narrowed,
  plural,
  put,
  readSaved,
  timesBetween,
  verdict,
  withSaved,
} from "../internal/console/static/pure.js";
import { verifyReceipt } from "../internal/console/static/receipt.js";

test("a choice takes the place of what was typed, and the cursor stands behind it", () => {
  for (const c of [
    { text: "pro", start: 1, end: 4, choice: "project:", want: "project:", at: 8 },
    { text: "tag:a", start: 5, end: 6, choice: "audit:export", want: "tag:audit:export ", at: 17 },
    { text: "actor:a x", start: 7, end: 8, choice: "alice", want: "actor:alice x", at: 11 },
    { text: "\u{1F600} out", start: 3, end: 6, choice: "outcome:", want: "\u{1F600} outcome:", at: 11 },
    { text: "meta", start: 1, end: 5, choice: "metadata.", want: "metadata.", at: 9 },
  ]) {
    assert.deepEqual(put(c.text, c.start, c.end, c.choice), { text: c.want, at: c.at }, c.text);
  }
});

test("columns count characters, not what browsers count", () => {
  assert.equal(columnAt("\u{1F600}a", 2), 2);
  assert.equal(columnAt("abc", 3), 4);
  assert.equal(columnAt("", 0), 1);
});

test("a stretch of a chart is a stretch of time, whichever way it was drawn, and never empty", () => {
  const [begin, end] = [Date.UTC(2026, 2, 30), Date.UTC(2026, 2, 31)];
  const half = { after: "2026-03-30T12:00:00Z", before: "2026-03-31T00:00:00Z" };
  assert.deepEqual(timesBetween(begin, end, 0.5, 1), half);
  assert.deepEqual(timesBetween(begin, end, 7, 0.5), half);
  assert.deepEqual(timesBetween(begin, end, 0.5, 0.5), {
    after: "2026-03-30T12:00:00Z",
    before: "2026-03-30T12:00:01Z",
  });
});

test("a view is narrowed from its beginning", () => {
  const times = { after: "2026-03-30T12:00:00Z", before: "2026-03-31T00:00:00Z" };
  const got = new URL(narrowed("/search?q=a%2Bb+c&cursor=x&count=all&after=-7d", times), "http://x.invalid");
  assert.deepEqual(Object.fromEntries(got.searchParams), { q: "a+b c", ...times });
  assert.equal(fromBeginning("/search?cursor=x"), "/search");
});

test("what is kept in the browser leads to searches only", () => {
  const good = { name: "releases", address: "/search?q=tag:project:release:*" };
  const bad = [
    "javascript:alert(1)",
    "//elsewhere.example/search",
    "/searching",
    "https://x.example/search",
    7,
  ];
  const list = [good, null, 3, "x", {}, ...bad.map((address) => ({ name: "x", address }))];
  assert.deepEqual(readSaved(JSON.stringify(list)), [good]);
  for (const none of [null, "", "{", "{}", "7", "null"]) {
    assert.deepEqual(readSaved(none), []);
  }
});

test("a search is kept once, and not too many are", () => {
  let list = [];
  for (let i = 0; i < 60; i++) {
    list = withSaved(list, { name: `n${i}`, address: `/search?q=${i}` });
  }
  assert.equal(list.length, 50);
  assert.equal(withSaved(list, { name: "again", address: "/search?q=59" }).length, 50);
  assert.equal(withSaved(list, { name: "again", address: "/search?q=59" })[0].name, "again");
});

test("a receipt is held against all that the page shows", async () => {
  const vector = JSON.parse(
    readFileSync(new URL("../testdata/vectors/release.json", import.meta.url), "utf8"),
  );
  const proved = await verifyReceipt(vector.receipt, vector.key);
  const shown = new Map(proved.fields.map((f) => [f.name, f.text]));
  const good = verdict(proved, shown, proved.seq);
  assert.ok(good.agrees);
  assert.ok(
    good.sentence.startsWith(
      `Checked in this browser: it is event ${proved.seq} of a log of ${proved.size}. ${plural(shown.size, "field")} shown here are as signed`,
    ),
    good.sentence,
  );
  assert.ok(!verdict(proved, shown, proved.seq + 1).agrees);
  for (const [name, text] of shown) {
    const { agrees, sentence } = verdict(proved, new Map([...shown, [name, `${text}x`]]), proved.seq);
    assert.ok(!agrees && sentence.includes(name), name);
  }
  assert.ok(!verdict(proved, new Map([...shown, ["reason", "made up"]]), proved.seq).agrees);
});

test("counts are words", () => {
  assert.equal(plural(1, "event"), "1 event");
  assert.equal(plural(1204, "event"), "1,204 events");
  assert.equal(plural(0, "field"), "0 fields");
});
