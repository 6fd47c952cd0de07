// How people come in, what they are then, and how they leave; and what those are told who may not.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  freePort,
  noBrowser,
  open,
  openBrowser,
  read,
  says,
  signIn,
  startLog,
  startProvider,
  until,
} from "./browser.mjs";

/** @type {import("./browser.mjs").Log} */
let log;
/** @type {import("./browser.mjs").Browser} */
let browser;
/** @type {{issuer: string, stop: () => Promise<void>}} */
let provider;

before(async () => {
  if (noBrowser) {
    return;
  }
  const port = await freePort();
  provider = await startProvider(`http://127.0.0.1:${port}/signin/callback`);
  const config = `
console: {public_url: "http://127.0.0.1:${port}"}
oidc:
  issuer: ${provider.issuer}
  client_id: custody
  client_secret_file: secret.txt
  scopes: [profile, email, groups]
  groups:
    custody-admins: {roles: [admin]}
    custody-auditors: {roles: [auditor]}
`;
  log = await startLog({ port, config, files: { "secret.txt": "a secret for tests\n" } });
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await log?.stop();
  await provider?.stop();
});

test("the link of the first start lets one person in, once", { skip: noBrowser }, async (t) => {
  const page = await open(t, browser, log);
  await page.goto(log.link());
  says(await read(page), { says: ["It is good once."] }, "the link");
  await page.reload(); // looking at it uses nothing up
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("Signed in as").waitFor();
  assert.match(await page.locator(".who").innerText(), /\(admin, auditor\)/);
  await page.goto("/search?q=user:alice");
  says(await read(page), { says: ["events match"] }, "a search of who came by a link");

  const other = await open(t, browser, log);
  await other.goto(log.link());
  await other.getByRole("button", { name: "Sign in" }).click();
  assert.equal(await other.locator(".who").getByText("Signed in as").count(), 0);
  says(await read(other), { keeps: ["demo-http"] }, "the link again");
});

test("another link is made at a terminal", { skip: noBrowser }, async (t) => {
  const page = await open(t, browser, log);
  await page.goto(log.custody(["signin-link"]).trim());
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("Signed in as").waitFor();
});

test("a key lets in who it is for; the page asked for comes next", { skip: noBrowser }, async (t) => {
  const key = await log.keyFor(["auditor"], "somebody who audits");
  const page = await open(t, browser, log);
  await page.goto("/search?q=token:tok-13");
  says(
    await read(page),
    { says: ["Without signing in you can search within one project"] },
    "the search before",
  );
  await page.locator("main").getByRole("link", { name: "Sign in" }).click();
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in with an API key" }).click();
  await page.waitForURL("**/search?q=token:tok-13");
  says(await read(page), { says: ["8 events match."] }, "the search after");

  const cookies = await page.context().cookies();
  assert.equal(cookies.length, 1);
  assert.ok(
    cookies[0].httpOnly && cookies[0].sameSite === "Lax" && cookies[0].path === "/",
    JSON.stringify(cookies),
  );
});

test("a key that is none lets nobody in, and is on record", { skip: noBrowser }, async (t) => {
  const page = await open(t, browser, log);
  await page.goto("/signin");
  await page.getByLabel("API key").fill("ck_000000000000_nothing");
  await page.getByRole("button", { name: "Sign in with an API key" }).click();
  // Nobody who is refused waits until that is recorded.
  await until(async () => (await log.search("tag:audit:signin:fail")).some((e) => e.metadata.way === "key"));
  await page.goto("/");
  assert.equal(await page.locator(".who").getByText("Signed in as").count(), 0);
});

for (const { email, is } of [
  { email: "admin@example.com", is: "(admin)" },
  { email: "auditor@example.com", is: "(auditor)" },
  { email: "alice@example.com", is: "alice" },
]) {
  test(`the provider lets ${email} in as what they are there`, { skip: noBrowser }, async (t) => {
    const page = await open(t, browser, log, { origins: [new URL(provider.issuer).origin] });
    await page.goto("/signin");
    await page.getByRole("link", { name: "Sign in with your account" }).click();
    await page.locator("input[name=login]").fill(email);
    await page.locator("input[name=password]").fill("correct horse");
    await page.locator("button[type=submit]").click();
    await page.getByText("Signed in as").waitFor();
    assert.equal(new URL(page.url()).origin, log.url);
    const who = await page.locator(".who").innerText();
    assert.ok(who.includes(is), who);
    await page.goto("/search?q=user:alice");
    const text = await read(page);
    says(text, { says: ["events match"], keeps: is === "alice" ? ["masked"] : [] }, "a search");
    if (is === "alice") {
      await page.getByRole("link", { name: "You", exact: true }).click();
      says(await read(page), { says: ["This is you"] }, "her page");
    }
  });
}

test("who signs out is out, in this window and in others", { skip: noBrowser }, async (t) => {
  const page = await open(t, browser, log);
  await signIn(page, await log.keyFor(["admin"], "somebody who leaves"));
  const cookies = await page.context().cookies();
  const [other] = [await page.context().newPage()];
  await other.goto("/search?q=user:alice");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("link", { name: "Sign in" }).first().waitFor();
  await other.reload();
  says(await read(other), { says: ["Without signing in"], keeps: ["user:email"] }, "the other window");

  const thief = await open(t, browser, log); // has a copy of the cookie
  await thief.context().addCookies(cookies);
  await thief.goto("/search?q=user:alice");
  says(await read(thief), { says: ["Without signing in"], keeps: ["user:email"] }, "a copy of the session");
});

test("a form of another origin signs nobody out", { skip: noBrowser }, async (t) => {
  const page = await open(t, browser, log, { excused: /./, origins: ["null"] });
  await signIn(page, await log.keyFor(["admin"], "somebody who stays"));
  const trap = await page.context().newPage();
  await trap.setContent(`<form method="post" action="${log.url}/signout"><button>A prize</button></form>`);
  await trap.getByRole("button").click();
  await trap.waitForURL("**/signout");
  await page.reload();
  await page.getByText("Signed in as").waitFor();
});
