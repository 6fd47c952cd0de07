// The real program, and people who look at it with a real browser.
//
// Everything is on this machine. A page that asks another origin for anything, does what its policy forbids,
// or has an error in a script, fails the test that opened it.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const here = (/** @type {string} */ name) => fileURLToPath(new URL(name, import.meta.url));
const program = process.env.CHROMIUM ?? "/usr/bin/chromium";
const axe = readFileSync(here("node_modules/axe-core/axe.min.js"), "utf8");
const built = here("node_modules/.cache/custody/");
const startTimeout = 60_000; // milliseconds; alone on the machine it takes one second
const patience = 20_000; // milliseconds that a page may take for anything

/** Why tests with a browser are skipped, or false. Where everything is installed they have to run. */
export const noBrowser =
  existsSync(program) || process.env.CUSTODY_TEST_ALL ? false : `there is no browser at ${program}`;

/**
 * Builds a program of this repository, or finds that it is built already.
 * @param {string} name
 * @param {string} dir of the module
 * @param {string} what to build
 */
function build(name, dir, what) {
  mkdirSync(built, { recursive: true });
  execFileSync("go", ["build", "-C", here(dir), "-o", join(built, name), what], { stdio: "inherit" });
  return join(built, name);
}

/**
 * A port that is free now: who is to be sent back to an address has to know it before it is served.
 * @returns {Promise<number>}
 */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  assert.ok(address && typeof address === "object");
  return address.port;
}

/**
 * Runs a program until it is stopped, and waits until ready says that it answers.
 * @param {string} file
 * @param {string[]} args
 * @param {(said: string) => unknown} ready
 */
async function run(file, args, ready) {
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      said += chunk;
    });
  }
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGINT");
      await once(child, "exit");
    }
  };
  for (const end = Date.now() + startTimeout; !ready(said); await sleep(20)) {
    if (child.exitCode !== null || Date.now() > end) {
      await stop();
      throw new Error(`${file} does not answer: ${said}`);
    }
  }
  return { stop, said: () => said };
}

/**
 * Starts the OpenID Connect provider of these tests.
 * @param {string} redirect where people are sent back to
 */
export async function startProvider(redirect) {
  const file = build("provider", "provider", ".");
  const { stop, said } = await run(file, ["-listen", "127.0.0.1:0", "-redirect", redirect], (out) =>
    out.includes("\n"),
  );
  return { issuer: said().trim().split("\n")[0], stop };
}

/**
 * Starts a log with the sample in it.
 * @param {{port?: number, config?: string, files?: Record<string, string>}} options its configuration, and what stands beside it
 */
export async function startLog({ port = 0, config = "{}", files = {} } = {}) {
  const file = build("custody", "..", "./cmd/custody");
  const dir = mkdtempSync(join(tmpdir(), "custody-console-"));
  for (const [name, text] of Object.entries({ "custody.yaml": config, ...files })) {
    writeFileSync(join(dir, name), text);
  }
  const addr = join(dir, "addr");
  const args = ["demo", "-data", join(dir, "data"), "-listen", `127.0.0.1:${port}`, "-addr-file", addr];
  const { stop, said } = await run(file, [...args, "-config", join(dir, "custody.yaml")], () =>
    existsSync(addr),
  );
  const url = readFileSync(addr, "utf8").trim();
  const key = readFileSync(join(dir, "data", "demo.key"), "utf8").trim();

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   */
  const call = async (method, path, body) => {
    const answer = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path} = ${answer.status} ${text}`);
    return JSON.parse(text);
  };
  return {
    url,
    key,
    dir,
    call,
    link: () => /http:\S+\/signin\/link\/\S+/.exec(said())?.[0] ?? "",
    /** Makes an API key that reads as somebody. @param {string[]} reads @param {string} name */
    keyFor: async (reads, name) =>
      (await call("POST", "/v1/keys", { name, source: "people", scopes: ["read"], reads })).secret,
    /** Records an event, and waits until searches find it. @param {any} event @returns {Promise<number>} its position */
    submit: async (event) => {
      const { seq } = await call("POST", "/v1/events", event);
      await until(async () =>
        (await call("GET", "/v1/log")).views.every((/** @type {any} */ v) => v.cursor > seq),
      );
      return seq;
    },
    /** Searches as the program itself. @param {string} q @returns {Promise<any[]>} */
    search: async (q) => (await call("GET", `/v1/events?${new URLSearchParams({ q })}`)).events,
    /** Runs custody. @param {string[]} args */
    custody: (args) =>
      execFileSync(file, args, {
        cwd: dir,
        encoding: "utf8",
        env: {
          ...process.env,
          CUSTODY_URL: url,
          CUSTODY_KEY: key,
          CUSTODY_LOG_KEY: join(dir, "data", "log.pub"),
        },
      }),
    stop: async () => {
      await stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** @typedef {Awaited<ReturnType<typeof startLog>>} Log */

/**
 * Waits until something holds.
 * @param {() => unknown} holds
 */
export async function until(holds) {
  for (const end = Date.now() + patience; !(await holds()); await sleep(20)) {
    assert.ok(Date.now() < end, `it did not come to be: ${holds}`);
  }
}

/** Starts a browser that reaches this machine alone. */
export const openBrowser = () =>
  chromium.launch({
    executablePath: program,
    args: ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"],
  });

/** @typedef {import("playwright-core").Browser} Browser */
/** @typedef {import("playwright-core").Page} Page */

/**
 * Opens a window for a test, and checks when the test ends that nothing in it was out of order.
 *
 * @param {import("node:test").TestContext} t
 * @param {Browser} browser
 * @param {Log} log
 * @param {import("playwright-core").BrowserContextOptions & {origins?: string[], excused?: RegExp}} options origins that may
 * be asked besides the log's, and complaints of the browser that the test provokes
 */
export async function open(t, browser, log, { origins = [], excused, ...options } = {}) {
  const context = await browser.newContext({
    baseURL: log.url,
    viewport: { width: 1280, height: 800 },
    ...options,
  });
  context.setDefaultTimeout(patience);
  /** @type {string[]} */
  const wrong = [];
  const note = (/** @type {string} */ what) => {
    if (!excused?.test(what)) {
      wrong.push(what);
    }
  };
  const known = new Set([new URL(log.url).origin, ...origins]);
  context.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (!known.has(origin) && protocol !== "blob:" && protocol !== "data:") {
      note(`${request.frame().url()} asks ${request.url()}`);
    }
  });
  context.on("weberror", (e) => note(`error in a script: ${e.error()}`));
  context.on("console", (message) => {
    // That a page is not there, or not for somebody, is what tests ask for.
    if (
      message.type() === "error" &&
      !/^Failed to load resource: the server responded/.test(message.text())
    ) {
      note(`${message.page()?.url()} complains: ${message.text()}`);
    }
  });
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (e) =>
      console.error(
        `policy violated: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`,
      ),
    );
  });
  t.after(async () => {
    await context.close();
    assert.deepEqual(wrong, [], "what was out of order in the browser");
  });
  return await context.newPage();
}

/**
 * Signs in with an API key, on the page for it.
 * @param {Page} page
 * @param {string} key
 */
export async function signIn(page, key) {
  await page.goto("/signin");
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in with an API key" }).click();
  await page.getByText("Signed in as").waitFor();
}

/**
 * Returns the cookies of somebody who signed in with a key.
 * @param {Browser} browser
 * @param {Log} log
 * @param {string} key
 */
export async function session(browser, log, key) {
  const context = await browser.newContext({ baseURL: log.url });
  await signIn(await context.newPage(), key);
  const state = await context.storageState();
  await context.close();
  return state;
}

/**
 * Gives a reason to see what is masked on a page.
 * @param {Page} page
 * @param {string} reason
 */
export async function reveal(page, reason) {
  await page.getByLabel("Reason").fill(reason);
  await page.getByRole("button", { name: "Look, and record that I did" }).click();
  await page.getByText("Nothing is masked here for you").waitFor();
}

/**
 * Checks that a page can be used by everybody: all rules by light, those about colours in the dark, too.
 * @param {Page} page
 * @param {import("playwright-core").Frame} frame of it
 */
export async function accessible(page, frame = page.mainFrame()) {
  await frame.evaluate(axe);
  await page.emulateMedia({ colorScheme: "light" });
  const light = await violations(frame);
  await page.emulateMedia({ colorScheme: "dark" });
  const dark = await violations(frame, ["color-contrast", "link-in-text-block"]);
  await page.emulateMedia({ colorScheme: "light" });
  assert.deepEqual({ light, dark }, { light: [], dark: [] }, frame.url());
}

/**
 * @param {import("playwright-core").Frame} frame
 * @param {string[]} [rules] all, unless some are named
 * @returns {Promise<string[]>}
 */
const violations = (frame, rules) =>
  frame.evaluate(async (only) => {
    const found = await /** @type {any} */ (window).axe.run(document, {
      resultTypes: ["violations"],
      ...(only ? { runOnly: { type: "rule", values: only } } : {}),
    });
    return found.violations.flatMap((/** @type {any} */ v) =>
      v.nodes
        .slice(0, 3)
        .map((/** @type {any} */ n) => `${v.id}: ${n.html.slice(0, 200)} ${n.failureSummary}`),
    );
  }, rules);

/**
 * Returns what somebody reads on a page.
 * @param {Page} page
 */
export const read = async (page) => (await page.locator("main").innerText()).replace(/\s+/g, " ");

/**
 * @param {string} text
 * @param {{says?: string[], keeps?: string[]}} wanted
 * @param {string} where
 */
export function says(text, { says = [], keeps = [] }, where) {
  for (const part of says) {
    assert.ok(text.includes(part), `${where} does not say "${part}"; it says ${text.slice(0, 3000)}`);
  }
  for (const part of keeps) {
    assert.ok(!text.includes(part), `${where} says "${part}"`);
  }
}
