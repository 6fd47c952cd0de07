// What people come with after an incident, answered within three clicks from the front page, on the sample.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { noBrowser, open, openBrowser, read, reveal, says, session, startLog } from "./browser.mjs";

const mostClicks = 3;

/** @type {import("./browser.mjs").Log} */
let log;
/** @type {import("./browser.mjs").Browser} */
let browser;
/** @type {any} */
let staff;
/** @type {any} */
let alice;

before(async () => {
  if (noBrowser) {
    return;
  }
  log = await startLog();
  browser = await openBrowser();
  staff = await session(browser, log, await log.keyFor(["admin", "auditor"], "registry security"));
  alice = await session(browser, log, await log.keyFor(["user:user-alice"], "alice"));
});
after(async () => {
  await browser?.close();
  await log?.stop();
});

/** @typedef {import("playwright-core").Locator} Locator */

/** Somebody on the front page, whose clicks are counted; typing is none, sending what was typed is one. */
class Visitor {
  clicks = 0;

  /** @param {import("./browser.mjs").Page} page */
  constructor(page) {
    this.page = page;
  }

  /** @param {Locator} what */
  async click(what) {
    this.clicks++;
    await what.click();
    await this.page.waitForLoadState();
  }

  /** @param {string} q */
  async search(q) {
    await this.page.getByRole("combobox", { name: "Query" }).fill(q);
    await this.click(this.page.getByRole("button", { name: "Search", exact: true }));
    await this.page.waitForURL("**/search?*");
  }

  /** @param {string} reason */
  async reveal(reason) {
    this.clicks++;
    await reveal(this.page, reason);
  }

  /** @param {string} name */
  link(name) {
    return this.page.locator("main").getByRole("link", { name, exact: true }).first();
  }

  /** @param {string[]} answer */
  async reads(...answer) {
    says(await read(this.page), { says: answer }, this.page.url());
    assert.ok(this.clicks <= mostClicks, `it took ${this.clicks} clicks`);
  }
}

/**
 * @param {string} question
 * @param {() => any} who is signed in
 * @param {(visitor: Visitor) => Promise<void>} way to the answer
 */
function asks(question, who, way) {
  test(question, { skip: noBrowser }, async (t) => {
    const page = await open(t, browser, log, { storageState: who() });
    await page.goto("/");
    await way(new Visitor(page));
  });
}

const forStaff = () => staff;
const forAlice = () => alice;

asks(
  "who published this version, with which token, minted when and from where, with a second factor or not?",
  forStaff,
  async (v) => {
    await v.search("project:demo-http version:1.3.1 tag:project:release:add");
    await v.reads("alice published demo-http 1.3.1", "with token tok-13, no second factor");
    await v.click(v.link("tok-13"));
    await v.reads(
      "Minted",
      "2026-03-30 22:58:44 UTC",
      "by alice",
      "with a second factor (totp)",
      "needs no second factor",
    );
    await v.reveal("demo-http 1.3.1 is malware");
    await v.reads("203.0.113.77", "In a session begun", "2026-03-30 22:49:03 UTC");
  },
);

asks("what else did that token do?", forStaff, async (v) => {
  await v.search("project:demo-http version:1.3.1 tag:project:release:add");
  await v.click(v.link("tok-13"));
  await v.reads(
    "Everything done with it",
    "demo-cookies 1 event",
    "alice published demo-cookies 0.9.1",
    "Refused",
  );
});

asks("when was the e-mail changed?", forStaff, async (v) => {
  await v.click(v.link("Whose second factors and e-mail addresses were changed?"));
  await v.reads("2026-03-30 22:53:12 UTC The primary e-mail address of alice changed");
  await v.click(
    v.page
      .locator(".events > li", { hasText: "The primary e-mail address of alice" })
      .getByRole("link", { name: "alice" })
      .first(),
  );
  await v.reads("The primary address was changed last on 2026-03-31 09:40:00 UTC.");
});

asks("when was my e-mail changed, and to what?", forAlice, async (v) => {
  await v.click(v.page.getByRole("link", { name: "You", exact: true }));
  await v.reads(
    "The primary address was changed last on 2026-03-31 09:40:00 UTC.",
    "alice.support@example.net",
  );
});

asks("who was a maintainer on a given day?", forStaff, async (v) => {
  await v.search("project:demo-parser");
  await v.click(v.link("demo-parser"));
  await v.page.getByLabel("Day (UTC)").fill("2026-05-01");
  await v.click(v.page.getByRole("button", { name: "Show" }));
  await v.reads("Who had a role at some moment of 2026-05-01", "frank maintainer event");
});

asks("which accounts signed in from that address?", forStaff, async (v) => {
  await v.search("ip:2001:db8:66::1f tag:user:login:*");
  await v.reads("No events match in what you see. What is masked was not searched");
  await v.reveal("passwords are being collected");
  await v.reads("6 events match.", "dave", "frank", "erin", "new_device", "2001:db8:66::1f");
});

asks("who has looked at my data?", forAlice, async (v) => {
  const page = await browser.newPage({ baseURL: log.url, storageState: staff });
  await page.goto("/user/user-alice");
  await reveal(page, "an account may have been taken over");
  await page.close();
  await v.click(v.page.getByRole("link", { name: "You", exact: true }));
  await v.reads("Who has looked at your data", "an account may have been taken over");
});
