// The console without scripts: what people do with it works all the same.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { noBrowser, open, openBrowser, read, reveal, says, signIn, startLog } from "./browser.mjs";

/** @type {import("./browser.mjs").Log} */
let log;
/** @type {import("./browser.mjs").Browser} */
let browser;

before(async () => {
  if (noBrowser) {
    return;
  }
  log = await startLog();
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await log?.stop();
});

test("without scripts", { skip: noBrowser }, async (t) => {
  const page = await open(t, browser, log, { javaScriptEnabled: false });

  await t.test("anybody searches in a project", async () => {
    await page.goto("/");
    await page.getByRole("textbox", { name: "Query" }).fill("project:demo-http");
    await page.getByRole("button", { name: "Search" }).click();
    says(
      await read(page),
      { says: ["alice published demo-http 1.3.1"], keeps: ["Follow live", "Check it in"] },
      "a search",
    );
  });

  await t.test("somebody signs in", async () => {
    await signIn(page, await log.keyFor(["admin"], "who has no scripts"));
  });

  await t.test("a facet narrows, an event opens", async () => {
    await page.goto("/search?q=token:tok-13");
    await page
      .getByRole("region", { name: "Narrow" })
      .getByRole("link", { name: "project:release:add", exact: true })
      .click();
    says(await read(page), { says: ["2 events match."] }, "the narrowed search");
    const row = page.locator(".events > li").first();
    assert.equal(await row.locator(".fields").isVisible(), false);
    await row.locator("summary").click();
    assert.ok(await row.locator(".fields").isVisible());
    await row.getByRole("link", { name: "Page of this event" }).click();
    says(await read(page), { says: ["All fields"] }, "the event");
  });

  await t.test("pages go on", async () => {
    await page.goto("/search");
    const first = await page.locator(".events > li").first().getAttribute("id");
    await page.getByRole("link", { name: "More events" }).click();
    assert.notEqual(await page.locator(".events > li").first().getAttribute("id"), first);
  });

  await t.test("a past day is shown", async () => {
    await page.goto("/project/pkg:npm/demo-http");
    await page.getByLabel("Day (UTC)").fill("2026-01-07");
    await page.getByRole("button", { name: "Show" }).click();
    says(await read(page), { says: ["Who had a role at some moment of 2026-01-07"] }, "the project");
  });

  await t.test("a reason is given", async () => {
    await page.goto("/token/tok-13");
    await reveal(page, "without scripts, too");
    says(await read(page), { says: ["203.0.113.77"] }, "the token");
  });

  await t.test("somebody signs out", async () => {
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.goto("/token/tok-13");
    says(await read(page), { keeps: ["203.0.113.77"] }, "the token after signing out");
  });
});
