// What scripts add to the pages: receipts that are checked here, completion, a chart to draw on, events as they come,
// searches that are kept, keys; and what comes out as a file.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { noBrowser, open, openBrowser, read, says, session, startLog, until } from "./browser.mjs";

/** @type {import("./browser.mjs").Log} */
let log;
/** @type {import("./browser.mjs").Browser} */
let browser;
/** @type {any} */
let admin;
/** @type {any} */
let owner;

before(async () => {
  if (noBrowser) {
    return;
  }
  log = await startLog();
  browser = await openBrowser();
  admin = await session(browser, log, await log.keyFor(["admin"], "admin"));
  owner = await session(browser, log, await log.keyFor(["project:project:pkg:npm/demo-http"], "owner"));
});
after(async () => {
  await browser?.close();
  await log?.stop();
});

const check = "Check it in this browser";
const proved =
  /Checked in this browser: it is event 21 of a log of \d+\. \d+ fields shown here are as signed/;

test("a receipt is checked in the browser, for each reader", { skip: noBrowser }, async (t) => {
  for (const storageState of [undefined, owner, admin]) {
    const page = await open(t, browser, log, { storageState });
    await page.goto("/event/21");
    await page.getByRole("button", { name: check }).click();
    await page.getByText(proved).waitFor();
  }
});

test("a receipt is checked where it stands in a search", { skip: noBrowser }, async (t) => {
  const page = await open(t, browser, log, { storageState: admin });
  await page.goto("/search?q=token:tok-13");
  const row = page.locator("#e21");
  await row.locator("summary").click();
  await row.getByRole("button", { name: check }).click();
  await row.getByText(proved).waitFor();
});

test("a receipt with a changed byte proves nothing, and the page says so", { skip: noBrowser }, async (t) => {
  const page = await open(t, browser, log, { storageState: admin });
  /** @type {(receipt: Buffer) => void} */
  let change = () => {};
  await page.route("**/event/21/receipt", async (route) => {
    const answer = await route.fetch();
    const body = await answer.body();
    change(body);
    await route.fulfill({ response: answer, body });
  });
  await page.goto("/event/21");
  const size = (await (await page.request.get("/event/21/receipt")).body()).length;
  for (const at of [0, 40, size >> 2, size >> 1, size - 60, size - 3]) {
    change = (receipt) => {
      receipt[at] ^= 1;
    };
    await page.getByRole("button", { name: check }).click();
    await page.locator("receipt-check .state.trouble").waitFor();
    assert.equal(await page.getByText(proved).count(), 0, `byte ${at}`);
    says(await read(page), { says: ["Checked in this browser: the receipt proves nothing"] }, `byte ${at}`);
  }
  change = () => {};
  await page.getByRole("button", { name: check }).click();
  await page.getByText(proved).waitFor();
});

test("a page that shows what was not signed is found out", { skip: noBrowser }, async (t) => {
  const page = await open(t, browser, log, { storageState: admin });
  await page.route("**/event/21", async (route) => {
    const answer = await route.fetch();
    const html = await answer.text();
    await route.fulfill({ response: answer, body: html.replaceAll("tok-13", "tok-14") });
  });
  await page.goto("/event/21");
  await page.getByRole("button", { name: check }).click();
  await page
    .getByText("Checked in this browser: the page shows what was not signed, in credential.id")
    .waitFor();
});

test("the box says what may be typed next, and takes it", { skip: noBrowser }, async (t) => {
  const page = await open(t, browser, log, { storageState: admin });
  await page.goto("/search");
  const box = page.getByRole("combobox", { name: "Query" });
  const choices = page.locator("#choices-0 li");
  await box.click();
  await box.pressSequentially("pro");
  await choices.filter({ hasText: "project:" }).waitFor();
  await box.press("ArrowDown");
  await box.press("Enter");
  assert.equal(await box.inputValue(), "project:");
  await box.pressSequentially("demo-h");
  await choices.filter({ hasText: "demo-http" }).waitFor();
  assert.equal(await box.getAttribute("aria-expanded"), "true");
  await box.press("Escape");
  assert.equal(await box.getAttribute("aria-expanded"), "false");
  await box.pressSequentially("t");
  await choices.filter({ hasText: "demo-http" }).click();
  assert.match(await box.inputValue(), /^project:\S*demo-http ?$/);
  await box.press("Escape");
  await box.press("Enter");
  await page.waitForURL("**/search?q=project*");
  says(await read(page), { says: ["alice published demo-http 1.3.1"] }, "the search");
});

test("the box completes for nobody what they may not see", { skip: noBrowser }, async (t) => {
  const page = await open(t, browser, log);
  await page.goto("/search?q=project:demo-http");
  const box = page.getByRole("combobox", { name: "Query" });
  const answer = page.waitForResponse("**/complete?*");
  await box.fill("token:tok");
  assert.deepEqual((await (await answer).json()).values, []);
});

test("a stretch of the chart is a search of that time", { skip: noBrowser }, async (t) => {
  const page = await open(t, browser, log, { storageState: admin });
  await page.goto("/search?q=project:demo-http");
  const all = await counted(page);
  const chart = await page.locator("time-brush svg").boundingBox();
  assert.ok(chart);
  const y = chart.y + chart.height / 2;
  await page.mouse.move(chart.x + chart.width / 2, y);
  await page.mouse.down();
  await page.mouse.move(chart.x + chart.width * 0.8, y, { steps: 5 });
  await page.mouse.move(chart.x + chart.width - 1, y, { steps: 5 });
  await page.mouse.up();
  await page.waitForURL("**/search?*after=*");
  const { searchParams } = new URL(page.url());
  assert.equal(searchParams.get("q"), "project:demo-http");
  assert.ok((searchParams.get("after") ?? "") < (searchParams.get("before") ?? ""));
  const some = await counted(page);
  assert.ok(some > 0 && some < all, `${some} of ${all}`);
  await page.getByRole("link", { name: "any time" }).first().click();
});

/** @param {import("./browser.mjs").Page} page */
const counted = async (page) => Number(/([\d,]+) events? match/.exec(await read(page))?.[1].replace(",", ""));

test("what the page counts narrows the search, and takes out of it", { skip: noBrowser }, async (t) => {
  const page = await open(t, browser, log, { storageState: admin });
  await page.goto("/search?q=token:tok-13");
  const facets = page.getByRole("region", { name: "Narrow" });
  await facets.getByRole("link", { name: "project:release:add", exact: true }).click();
  says(await read(page), { says: ["2 events match."] }, "only releases");
  await page.goBack();
  await facets.getByRole("link", { name: "not project:release:add" }).click();
  says(await read(page), { says: ["6 events match."] }, "all but releases");
  const again = await open(t, browser, log, { storageState: admin });
  await again.goto(page.url());
  assert.equal(await read(again), await read(page), "the address shows another view");
});

const login = (/** @type {string} */ id) => ({
  id,
  tag: "user:login:success",
  time: new Date().toISOString(),
  actor: { type: "user", id: "user-carol", name: "carol" },
  subjects: [{ type: "user", id: "user-carol", name: "carol" }],
  context: { ip: "192.0.2.99", user_agent: "Mozilla/5.0 (X11; Linux x86_64)", origin: "web" },
  metadata: { auth_method: "password" },
});

test("events come as they happen; while paused they wait", { skip: noBrowser }, async (t) => {
  const page = await open(t, browser, log, { storageState: admin });
  await page.goto("/search?q=user:carol+tag:user:login:*");
  const rows = page.locator(".events > li");
  const before = await rows.count();
  await page.getByRole("button", { name: "Follow live" }).click();
  await page.getByText("Following. Nothing new yet.").waitFor();
  const first = await log.submit(login("live-1"));
  await page.locator(`#e${first}`).waitFor();
  assert.equal(await rows.count(), before + 1);
  assert.equal(
    (await page.locator(`#e${first}`).innerText()).includes("192.0.2.99"),
    false,
    "it came unmasked",
  );

  await page.getByRole("button", { name: "Pause" }).click();
  const second = await log.submit(login("live-2"));
  await page.getByText("Paused: 1 event waiting.").waitFor();
  assert.equal(await page.locator(`#e${second}`).count(), 0);
  await page.getByRole("button", { name: "Go on" }).click();
  await page.locator(`#e${second}`).waitFor();
  assert.equal(await rows.first().getAttribute("id"), `e${second}`);
  await log.submit({
    ...login("live-3"),
    actor: { type: "user", id: "user-erin", name: "erin" },
    subjects: [],
  });
  const third = await log.submit(login("live-4"));
  await page.locator(`#e${third}`).waitFor();
  assert.equal(await rows.count(), before + 3, "what is not in the view came, too");
});

test("a search is kept in the browser until it is forgotten", { skip: noBrowser }, async (t) => {
  const page = await open(t, browser, log, { storageState: admin });
  await page.goto("/search?q=token:tok-13");
  await page.getByRole("button", { name: "Save this search" }).click();
  await page.goto("/search");
  await page.locator("saved-searches").getByRole("link", { name: "token:tok-13" }).click();
  says(await read(page), { says: ["8 events match."] }, "the kept search");
  await page.getByRole("button", { name: "Forget token:tok-13" }).click();
  await page.reload();
  assert.equal(await page.locator("saved-searches li").count(), 0);
});

test("what a search finds comes out as a file, masked, and that is on record", {
  skip: noBrowser,
}, async (t) => {
  const page = await open(t, browser, log, { storageState: admin });
  await page.goto("/search?q=token:tok-13");
  for (const { title, has } of [
    { title: "NDJSON", has: '"tag":"user:token:create"' },
    { title: "CSV", has: "user:token:create" },
    { title: "Parquet", has: "PAR1" },
  ]) {
    const coming = page.waitForEvent("download");
    await page.getByRole("link", { name: title, exact: true }).click();
    const text = await downloaded(await coming);
    assert.ok(text.includes(has), `${title}: ${text.slice(0, 300)}`);
    assert.ok(!text.includes("203.0.113.77"), `${title} is not masked`);
    if (title === "NDJSON") {
      assert.equal(text.trim().split("\n").length, 8);
    }
  }
  await until(async () => (await log.search("tag:audit:export")).length === 3);
});

test("a receipt that came out as a file is good elsewhere", { skip: noBrowser }, async (t) => {
  const page = await open(t, browser, log, { storageState: owner });
  await page.goto("/event/21");
  const coming = page.waitForEvent("download");
  await page.getByRole("link", { name: "Receipt", exact: true }).click();
  const text = await downloaded(await coming);
  const file = join(log.dir, "receipt.txt");
  writeFileSync(file, text, "latin1");
  assert.match(log.custody(["verify", file]), /^yes/);
  const at = text.indexOf("\nextra ") + 100; // within the fields
  writeFileSync(file, `${text.slice(0, at)}${text[at] === "A" ? "B" : "A"}${text.slice(at + 1)}`, "latin1");
  assert.throws(() => log.custody(["verify", file]), { status: 3 });
});

/** @param {import("playwright-core").Download} file */
async function downloaded(file) {
  /** @type {Buffer[]} */
  const parts = [];
  for await (const part of await file.createReadStream()) {
    parts.push(part);
  }
  return Buffer.concat(parts).toString("latin1");
}

test("everything is there for who has only keys", { skip: noBrowser }, async (t) => {
  const page = await open(t, browser, log, { storageState: admin });
  await page.goto("/search?q=token:tok-13");
  await page.keyboard.press("Tab");
  const skip = page.getByRole("link", { name: "Skip to the content" });
  assert.ok(await skip.evaluate((e) => e === document.activeElement && e.getBoundingClientRect().top >= 0));
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "main");

  const focused = () => page.evaluate(() => document.activeElement?.closest(".events > li")?.id);
  const ids = await page.locator(".events > li").evaluateAll((list) => list.map((e) => e.id));
  for (const [key, want] of [
    ["j", ids[0]],
    ["j", ids[1]],
    ["j", ids[2]],
    ["k", ids[1]],
  ]) {
    await page.keyboard.press(key);
    assert.equal(await focused(), want, key);
  }
  await page.keyboard.press("o");
  await page.locator(`#${ids[1]} .fields`).waitFor();

  await page.keyboard.press("/");
  const box = page.getByRole("combobox", { name: "Query" });
  assert.ok(await box.evaluate((e) => e === document.activeElement));
  await page.keyboard.type("tag:");
  await page.locator("#choices-0 li").first().waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("#choices-0 li").count(), 0);
  assert.equal(await box.inputValue(), "tag:", "a key of the page was taken while somebody typed");
});
