// Each page as each reader sees it: that it answers, says what is theirs and nothing else, and can be used by
// everybody, by light and in the dark.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  accessible,
  noBrowser,
  open,
  openBrowser,
  read,
  reveal,
  says,
  session,
  startLog,
} from "./browser.mjs";

const attacker = "203.0.113.77"; // from where the account of alice was taken over
const newMail = "alice.support@example.net";
const none = "There is no such thing in this log, or it is not for you to see.";

/** @type {Record<string, string[]>} as whom the keys of the readers read */
const readers = {
  self: ["user:user-alice"],
  owner: ["user:user-bob", "project:project:pkg:npm/demo-http"],
  member: ["user:user-erin", "org:org-21"],
  admin: ["admin"],
  auditor: ["auditor"],
};

const everywhere = { public: {}, self: {}, owner: {}, member: {}, admin: {}, auditor: {} };
const forStaff = { admin: {}, auditor: {} };
const project = "/project/pkg:npm/demo-http";

/** @type {{path: string, as: Record<string, {says?: string[], keeps?: string[]}>, says?: string[], status?: number}[]} */
const pages = [
  { path: "/", as: everywhere, says: ["demo.example/log", "Check it"] },
  {
    path: "/search?q=project:demo-http+tag:project:release:add",
    as: {
      public: { keeps: ["tok-13", attacker, "masked"] },
      self: { says: ["tok-13", attacker], keeps: ["masked"] },
      owner: { says: ["tok-13", "no second factor"], keeps: [attacker, "masked"] },
      member: { keeps: [attacker] },
      admin: { says: ["tok-13", "some of it is masked"], keeps: [attacker] },
      auditor: { says: ["tok-13"], keeps: [attacker] },
    },
    says: ["5 events match.", "alice published demo-http 1.3.1"],
  },
  { path: "/search", as: { self: {}, admin: {} }, says: ["events match"] },
  {
    path: "/search",
    as: { public: {} },
    says: ["Without signing in you can search within one project"],
    status: 403,
  },
  { path: "/search?q=tag:", as: { admin: {} }, says: ["The query cannot be understood"], status: 400 },
  {
    path: "/event/21",
    as: {
      public: { keeps: ["tok-13", attacker, "masked"] },
      self: { says: ["tok-13", attacker, "s-666"] },
      owner: { says: ["tok-13"], keeps: [attacker, "s-666"] },
      member: { keeps: [attacker] },
      admin: { says: ["tok-13", "masked: give a reason to see it"], keeps: [attacker, "s-666"] },
      auditor: { says: ["tok-13"], keeps: [attacker] },
    },
    says: ["alice published demo-http 1.3.1", "custody verify event-21.receipt"],
  },
  { path: "/event/999999", as: everywhere, says: [none], status: 404 },
  {
    path: project,
    as: {
      public: {
        says: ["The public history of this project", "Atom feed"],
        keeps: ["tok-13", "totp", attacker],
      },
      self: { says: ["tok-13", "1.3.1"] },
      owner: { says: ["tok-13", "without a second factor", "bob"], keeps: [attacker, "s-666", "masked"] },
      member: { keeps: [attacker] },
      admin: { says: ["tok-13", "address masked"], keeps: [attacker] },
      auditor: { says: ["tok-13", "address masked"], keeps: [attacker] },
    },
    says: ["demo-http", "1.3.1", "Who was it on another day?"],
  },
  {
    path: "/project/pkg:npm/@demo-labs/cli",
    as: { public: {}, member: {}, admin: {} },
    says: ["@demo-labs/cli", "2.1.1", "removed"],
  },
  {
    path: "/user/user-alice",
    as: {
      self: { says: ["This is you", newMail, attacker], keeps: ["masked", "admin-7"] },
      owner: { says: ["demo-http"], keeps: [newMail, attacker, "s-666"] },
      admin: { says: ["tok-13", "masked"], keeps: [newMail, attacker] },
      auditor: { says: ["tok-13", "masked"], keeps: [newMail, attacker] },
    },
    says: ["alice"],
  },
  { path: "/user/user-alice", as: { public: {} }, says: [none], status: 404 },
  {
    path: "/token/tok-13",
    as: {
      self: { says: ["with a second factor (totp)", attacker, "s-666"] },
      owner: { says: ["demo-http"], keeps: [attacker, "demo-cookies"] },
      admin: { says: ["address masked", "demo-cookies"], keeps: [attacker] },
      auditor: { says: ["address masked"], keeps: [attacker] },
    },
    says: ["tok-13", "First use"],
  },
  { path: "/token/tok-13", as: { public: {}, member: {} }, says: [none], status: 404 },
  {
    path: "/org/org-21",
    as: {
      member: { says: ["carol", "core", "release", "dave"], keeps: ["192.0.2.99", "masked"] },
      admin: { says: ["carol", "core"], keeps: ["192.0.2.99"] },
      auditor: { says: ["carol", "core"] },
    },
    says: ["demo-labs"],
  },
  { path: "/org/org-21", as: { public: {} }, says: [none], status: 404 },
  {
    path: "/org/org-21?at=2026-05-01",
    as: { member: {} },
    says: ["As it was at some moment of 2026-05-01", "bob"],
  },
  {
    path: `${project}?at=2026-01-08`,
    as: { public: {} },
    says: ["Who had a role at some moment of 2026-01-08"],
  },
  {
    path: "/network/203.0.113.77",
    as: forStaff,
    says: ["Addresses are masked for you until you give a reason."],
  },
  { path: "/network/203.0.113.77", as: { public: {} }, says: [none], status: 404 },
  {
    path: "/log",
    as: {
      public: { says: ["You see what is public of the log."] },
      self: { says: ["You see what is public of the log."] },
      admin: { says: ["Retention", "Who got in, or was refused"] },
      auditor: { says: ["No hold is in force.", "Nobody was erased"] },
    },
    says: ["demo.example/log", "No witness cosigns"],
  },
  { path: "/signin", as: { public: {}, admin: {} }, says: ["API key"] },
  { path: "/signout", as: { admin: {} }, says: ["You are signed in"] },
];

/** What is shown to staff who gave a reason, on the pages where something is masked. */
const revealed = [
  { path: "/event/21", says: [attacker, "s-666"] },
  {
    path: "/search?q=project:demo-http+tag:project:release:add",
    says: [attacker, "alice published demo-http 1.3.1"],
  },
  { path: project, says: [attacker] },
  { path: "/user/user-alice", says: [attacker, newMail] },
  { path: "/token/tok-13", says: [attacker, "backup"] },
  { path: "/org/org-21", says: ["demo-labs", "Nothing is masked here for you"] },
  { path: "/network/203.0.113.77", says: ["alice", "demo-http", "demo-cookies", "tok-13", "refused"] },
  { path: "/network/2001:db8:66::1f", says: ["dave", "frank", "erin", "bob", "carol"] },
];

/** Pages that have nothing new to check once nothing is masked on them. */
const same = new Set(["/search?q=project:demo-http+tag:project:release:add", project, "/org/org-21"]);

/** @type {import("./browser.mjs").Log} */
let log;
/** @type {import("./browser.mjs").Browser} */
let browser;
/** @type {Record<string, any>} */
const sessions = { public: undefined };

before(async () => {
  if (noBrowser) {
    return;
  }
  log = await startLog();
  browser = await openBrowser();
  for (const [name, reads] of Object.entries(readers)) {
    sessions[name] = await session(browser, log, await log.keyFor(reads, name));
  }
});
after(async () => {
  await browser?.close();
  await log?.stop();
});

for (const reader of Object.keys(everywhere)) {
  test(`pages for ${reader}`, { skip: noBrowser }, async (t) => {
    const page = await open(t, browser, log, { storageState: sessions[reader] });
    for (const { path, as, says: all = [], status = 200 } of pages) {
      const mine = as[reader];
      if (!mine) {
        continue;
      }
      await t.test(path, async () => {
        const answer = await page.goto(path);
        assert.equal(answer?.status(), status);
        says(
          await read(page),
          { says: [...all, ...(mine.says ?? [])], keeps: mine.keeps },
          `${path} for ${reader}`,
        );
        if (reader !== "auditor" || path === "/log") {
          await accessible(page); // the other pages are those of an administrator
        }
      });
    }
  });
}

test("pages for an administrator who gave a reason", { skip: noBrowser }, async (t) => {
  const page = await open(t, browser, log, { storageState: sessions.admin });
  for (const { path, says: wanted } of revealed) {
    await t.test(path, async () => {
      await page.goto(path);
      says(
        await read(page),
        { keeps: [attacker.repeat(path.startsWith("/network") ? 2 : 1), newMail] },
        path,
      );
      await reveal(page, "an account was taken over");
      says(await read(page), { says: wanted }, `${path} after a reason`);
      if (!same.has(path)) {
        await accessible(page);
      }
    });
  }
});

test("a look with a reason is on record, and the person sees it", { skip: noBrowser }, async (t) => {
  const admin = await open(t, browser, log, { storageState: sessions.admin });
  await admin.goto("/user/user-bob");
  await reveal(admin, "bob asked us who signed in");
  const looks = await log.search("tag:audit:reveal_pii user:user-bob");
  assert.ok(looks.length > 0);
  assert.equal(looks[0].metadata.reason, "bob asked us who signed in");

  const bob = await open(t, browser, log, { storageState: sessions.owner });
  await bob.goto("/user/user-bob");
  says(
    await read(bob),
    { says: ["Who has looked at your data", "bob asked us who signed in"], keeps: ["Nobody has"] },
    "bob's page",
  );
});

test("pages can be printed", { skip: noBrowser }, async (t) => {
  const page = await open(t, browser, log, { storageState: sessions.admin });
  await page.emulateMedia({ media: "print" });
  for (const path of ["/search?q=project:demo-http", project, "/token/tok-13", "/event/21"]) {
    await page.goto(path);
    says(await read(page), { says: ["demo-http"] }, `${path} on paper`);
    assert.equal(
      await page.getByRole("link", { name: "The log", exact: true }).isVisible(),
      false,
      "the navigation is printed",
    );
    const image = await page.screenshot({ fullPage: true });
    const colours = await coloursOf(page, image);
    assert.ok(colours.dark > 1000, `${path} has ${colours.dark} dark dots on paper`);
    assert.ok(colours.light > 0.5, `${path} prints a dark ground`);
  }
});

/**
 * Counts the dots of an image that are dark, and the share of those that are light.
 * @param {import("./browser.mjs").Page} page whose browser does the counting
 * @param {Buffer} image
 */
async function coloursOf(page, image) {
  return await page.evaluate(async (data) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const drawn = canvas.getContext("2d");
    drawn?.drawImage(bitmap, 0, 0);
    const dots = drawn?.getImageData(0, 0, bitmap.width, bitmap.height).data ?? [];
    let [dark, light] = [0, 0];
    for (let i = 0; i < dots.length; i += 4) {
      const sum = dots[i] + dots[i + 1] + dots[i + 2];
      dark += sum < 200 ? 1 : 0;
      light += sum > 600 ? 1 : 0;
    }
    return { dark, light: light / (dots.length / 4) };
  }, image.toString("base64"));
}
