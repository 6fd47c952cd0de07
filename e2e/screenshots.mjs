// Makes the pictures of docs/screenshots: the console, over the sample, in a real browser.
//
//	node e2e/screenshots.mjs
import { mkdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openBrowser, reveal, session, startLog } from "./browser.mjs";

const dir = fileURLToPath(new URL("../docs/screenshots/", import.meta.url));
const mostBytes = 200 << 10;

/** @typedef {import("./browser.mjs").Page} Page */

const receipt = async (/** @type {Page} */ page) => {
  await page.getByRole("button", { name: "Check it in this browser" }).click();
  const verdict = page.getByText("Checked in this browser: it is event");
  await verdict.waitFor();
  await verdict.evaluate((e) => e.scrollIntoView({ block: "end" }));
};
const unmasked = (/** @type {Page} */ page) => reveal(page, "case 2026-17: an account was taken over");
const search = "/search?q=project:demo-http";
const project = "/project/pkg:npm/demo-http";

/** @type {{name: string, path: string, as: "staff" | "alice" | "public", dark?: boolean, act?: (page: Page) => Promise<void>}[]} */
const pictures = [
  { name: "search", path: search, as: "staff" },
  { name: "search-dark", path: search, as: "staff", dark: true },
  { name: "event", path: "/event/21", as: "staff", act: receipt },
  { name: "project", path: project, as: "staff" },
  { name: "project-dark", path: project, as: "staff", dark: true },
  { name: "public", path: "/project/pkg:npm/demo-parser", as: "public" },
  { name: "user", path: "/user/user-alice", as: "alice" },
  { name: "token", path: "/token/tok-13", as: "staff", act: unmasked },
  { name: "organization", path: "/org/org-21", as: "staff" },
  { name: "network", path: "/network/2001:db8:66::1f", as: "staff", act: unmasked },
  { name: "log", path: "/log", as: "staff" },
];

const log = await startLog();
const browser = await openBrowser();
try {
  const sessions = {
    staff: await session(browser, log, await log.keyFor(["admin", "auditor"], "registry security")),
    alice: await session(browser, log, await log.keyFor(["user:user-alice"], "alice")),
    public: undefined,
  };
  mkdirSync(dir, { recursive: true });
  for (const { name, path, as, dark, act } of pictures) {
    const page = await browser.newPage({
      baseURL: log.url,
      viewport: { width: 1280, height: 800 },
      storageState: sessions[as],
      colorScheme: dark ? "dark" : "light",
    });
    await page.goto(path);
    await act?.(page);
    const file = `${dir}${name}.png`;
    await page.screenshot({ path: file });
    const { size } = statSync(file);
    if (size > mostBytes) {
      throw new Error(`${file} has ${size} bytes, want at most ${mostBytes}`);
    }
    await page.close();
  }
} finally {
  await browser.close();
  await log.stop();
}
