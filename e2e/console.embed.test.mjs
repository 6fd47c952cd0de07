// A registry shows a view of the log in its own pages: on another origin, in a frame, to whom its token says; and
// nobody else does, and no other token opens anything.
import assert from "node:assert/strict";
import { generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { accessible, noBrowser, open, openBrowser, says, startLog, until } from "./browser.mjs";

const issuer = "https://registry.example.com";
const { publicKey, privateKey } = generateKeyPairSync("ed25519");
const stranger = generateKeyPairSync("ed25519").privateKey;

const encoded = (/** @type {object} */ v) => Buffer.from(JSON.stringify(v)).toString("base64url");

/**
 * Signs a viewer token.
 * @param {object} claims besides those that all have
 * @param {{key?: import("node:crypto").KeyObject, header?: object}} how
 */
function token(claims, { key = privateKey, header = {} } = {}) {
  const now = Math.floor(Date.now() / 1000);
  const head = encoded({ alg: "EdDSA", typ: "custody-viewer+jwt", kid: "registry-2026", ...header });
  const body = encoded({
    iss: issuer,
    aud: "demo.example/log",
    iat: now,
    exp: now + 600,
    jti: randomUUID(),
    ...claims,
  });
  return `${head}.${body}.${sign(null, Buffer.from(`${head}.${body}`), key).toString("base64url")}`;
}

const alice = { user: "user-alice" };
const owner = { project: { type: "project", id: "pkg:npm/demo-http" } };

/** @type {import("./browser.mjs").Log} */
let log;
/** @type {import("./browser.mjs").Browser} */
let browser;
/** @type {Awaited<ReturnType<typeof site>>} */
let registry;
/** @type {Awaited<ReturnType<typeof site>>} */
let elsewhere;

before(async () => {
  if (noBrowser) {
    return;
  }
  registry = await site();
  elsewhere = await site();
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32).toString("base64");
  log = await startLog({
    config: `
console: {frame_ancestors: ["${registry.origin}"]}
viewer_keys:
  - {id: registry-2026, issuer: "${issuer}", public_key: "${raw}", users: true, projects: true}
`,
  });
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await log?.stop();
  registry?.close();
  elsewhere?.close();
});

/** A site on an origin of its own, whose one page is what was put there. */
async function site() {
  let page = "";
  const server = createServer((_, w) => w.writeHead(200, { "content-type": "text/html" }).end(page));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address && typeof address === "object");
  return {
    origin: `http://127.0.0.1:${address.port}`,
    /** @param {string} html */
    put: (html) => {
      page = `<!doctype html><html lang="en"><title>A registry</title><link rel="icon" href="data:,"><h1>A registry</h1>${html}</html>`;
    },
    close: () => server.close(),
  };
}

/**
 * A page that shows a view in a frame, as docs/signin.md has it: the token goes in the body of a form.
 * @param {string} kind
 * @param {string} jwt
 */
const framed = (kind, jwt) => `
<iframe name="log" title="What the log knows" width="1000" height="700"></iframe>
<form method="post" action="${log.url}/embed/${kind}" target="log"><input type="hidden" name="token" value="${jwt}"><button>Show</button></form>`;

for (const { kind, claims, wants, keeps } of [
  {
    kind: "user",
    claims: alice,
    wants: ["The log about alice", "Was this you?", "203.0.113.77"],
    keeps: ["admin-7"],
  },
  {
    kind: "project",
    claims: owner,
    wants: ["The log about demo-http", "1.3.1"],
    keeps: ["203.0.113.77", "s-666"],
  },
]) {
  test(`a registry that may shows a ${kind} in a frame`, { skip: noBrowser }, async (t) => {
    registry.put(framed(kind, token(claims)));
    const page = await open(t, browser, log, { origins: [registry.origin] });
    await page.goto(registry.origin);
    await page.getByRole("button", { name: "Show" }).click();
    const inside = page.frameLocator("iframe[name=log]");
    await inside.locator("h1").waitFor();
    says(
      (await inside.locator("main").innerText()).replace(/\s+/g, " "),
      { says: wants, keeps },
      "the frame",
    );
    assert.deepEqual(await page.context().cookies(log.url), []);
    await accessible(page, page.frames()[1]);

    const file = page.waitForEvent("download");
    await inside.getByRole("button", { name: "Receipt of event" }).first().click();
    assert.match(await text(await file), /^c2sp\.org\/tlog-proof@v1/);
  });
}

/** @param {import("playwright-core").Download} file */
async function text(file) {
  let said = "";
  for await (const chunk of await file.createReadStream()) {
    said += chunk;
  }
  return said;
}

test("another site shows nothing in a frame", { skip: noBrowser }, async (t) => {
  elsewhere.put(framed("user", token(alice)));
  const page = await open(t, browser, log, {
    origins: [elsewhere.origin],
    excused: /frame-ancestors|chrome-error/,
  });
  /** @type {string[]} */
  const complaints = [];
  page.on("console", (message) => complaints.push(message.text()));
  await page.goto(elsewhere.origin);
  await page.getByRole("button", { name: "Show" }).click();
  await until(() => complaints.some((c) => c.includes("frame-ancestors")));
  const [, frame] = page.frames();
  assert.equal(await frame.getByText("alice").count(), 0);
});

test("nobody shows the console in a frame", { skip: noBrowser }, async (t) => {
  registry.put(`<iframe title="The console" src="${log.url}/search?q=project:demo-http"></iframe>`);
  const page = await open(t, browser, log, {
    origins: [registry.origin],
    excused: /frame-ancestors|chrome-error/,
  });
  /** @type {string[]} */
  const complaints = [];
  page.on("console", (message) => complaints.push(message.text()));
  await page.goto(registry.origin);
  await until(() => complaints.some((c) => c.includes("frame-ancestors")));
});

test("scripts of the registry read the JSON, those of others do not", { skip: noBrowser }, async (t) => {
  const jwt = token(owner);
  const ask = async (/** @type {{address: string, jwt: string}} */ { address, jwt }) => {
    try {
      const answer = await fetch(address, { headers: { authorization: `Bearer ${jwt}` } });
      return { status: answer.status, text: await answer.text() };
    } catch {
      return { status: 0, text: "" };
    }
  };
  for (const { from, status } of [
    { from: registry, status: 200 },
    { from: elsewhere, status: 0 },
  ]) {
    from.put("");
    const page = await open(t, browser, log, { origins: [from.origin], excused: /CORS|net::ERR_FAILED/ });
    await page.goto(from.origin);
    const answer = await page.evaluate(ask, { address: `${log.url}/embed/project.json`, jwt });
    assert.equal(answer.status, status);
    assert.equal(answer.text.includes("demo-http"), status === 200);
  }
});

// Fewer than a network may send before it has to wait.
test("a token that is none gets the same words whatever is wrong, and is on record", {
  skip: noBrowser,
}, async () => {
  const now = Math.floor(Date.now() / 1000);
  const good = token(alice);
  const refused = {
    forged: token(alice, { key: stranger }),
    expired: token({ ...alice, iat: now - 900, exp: now - 300 }),
    foreign: token({ ...alice, aud: "another.example/log" }),
    changed: good.replace(
      /\.[^.]+\./,
      `.${encoded({ ...JSON.parse(`${Buffer.from(good.split(".")[1], "base64url")}`), user: "user-bob" })}.`,
    ),
    unsigned: `${encoded({ alg: "none", typ: "custody-viewer+jwt" })}.${good.split(".")[1]}.`,
    unknown: token(alice, { header: { kid: "registry-2020" } }),
    none: "nonsense",
  };
  /** @type {Set<string>} */
  const answers = new Set();
  for (const [name, jwt] of Object.entries(refused)) {
    const answer = await fetch(`${log.url}/embed/user`, {
      method: "POST",
      body: new URLSearchParams({ token: jwt }),
    });
    assert.equal(answer.status, 401, name);
    answers.add(await answer.text());
  }
  assert.equal(answers.size, 1, "the answers differ");
  assert.ok(![...answers][0].includes("alice"));
  await until(async () => {
    const why = (await log.search("tag:audit:access:deny")).map((e) => e.metadata.why);
    return ["forged", "expired", "foreign", "unknown"].every((w) => why.includes(w));
  });

  // One that is good, for something else: the same for what is there and what is not.
  const words = [];
  for (const claims of [alice, { user: "user-nobody" }]) {
    const answer = await fetch(`${log.url}/embed/project`, {
      method: "POST",
      body: new URLSearchParams({ token: token(claims) }),
    });
    assert.equal(answer.status, 403);
    words.push(await answer.text());
  }
  assert.equal(words[0], words[1]);
});
