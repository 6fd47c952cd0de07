// The whole way: a real npm publishes through the proxy at a real registry, the
// release is found, its receipt is taken to another machine, and holds there
// until a byte of it is changed. Everything is the real program.
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { npmHome, startRegistry } from "./registry.mjs";

const dir = mkdtempSync(join(tmpdir(), "custody-e2e-"));
const custody = join(dir, "custody");
/** @type {Awaited<ReturnType<typeof startRegistry>>} */
let registry;
/** @type {ReturnType<typeof npmHome>} */
let alice;
/** @type {import("node:child_process").ChildProcess} */
let log;
/** @type {Record<string, string>} */
let env;

before(async () => {
  execFileSync("go", ["build", "-o", custody, "./cmd/custody"], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
  });
  registry = await startRegistry();
  writeFileSync(
    join(dir, "custody.yaml"),
    `proxies:\n  - {name: npm-proxy, protocol: npm, listen: "127.0.0.1:0", upstream: "${registry.url}"}\n`,
  );
  const args = ["serve", "-data=data", "-listen=127.0.0.1:0", "-addr-file=addr", "-api-key-file=key"];
  log = spawn(custody, [...args, "-origin=log.example/e2e", "-config=custody.yaml"], {
    cwd: dir,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  log.stderr?.on("data", (chunk) => {
    said += chunk;
  });
  const proxy = /proxy npm-proxy on (http:\/\/127\.0\.0\.1:\d+)/;
  for (let i = 0; i < 400 && !(existsSync(join(dir, "addr")) && proxy.test(said)); i++) {
    await sleep(50);
  }
  env = {
    PATH: process.env.PATH ?? "",
    CUSTODY_URL: readFileSync(join(dir, "addr"), "utf8"),
    CUSTODY_KEY_FILE: join(dir, "key"),
  };
  alice = npmHome(proxy.exec(said)?.[1] ?? "");
});
after(async () => {
  alice?.remove();
  if (log && log.exitCode === null) {
    log.kill("SIGINT");
    await once(log, "exit");
  }
  await registry?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/**
 * Runs custody and returns what it answered.
 *
 * @param {string[]} args
 * @param {Record<string, string>} environment
 * @param {string} cwd
 */
function run(args, environment = env, cwd = dir) {
  const { status, stdout, stderr } = spawnSync(custody, args, { env: environment, cwd, encoding: "utf8" });
  return { status, stdout, stderr };
}

/** Waits until a search has an answer: events are findable within a second. */
async function found(/** @type {string} */ query) {
  for (let i = 0; i < 50; i++) {
    const { stdout } = run(["search", "-json", query]);
    if (stdout !== "") {
      return JSON.parse(stdout.split("\n")[0]);
    }
    await sleep(100);
  }
  throw new Error(`${query} was not found`);
}

test("what npm publishes is found, proved elsewhere, and nothing of it can be changed", async (t) => {
  const answers = ["alice", "alice-pass", "alice@example.test"];
  const account = await alice.npm(["adduser", "--auth-type=legacy"], answers);
  assert.equal(account.status, 0, account.out);
  const published = await alice.npm(["publish"]);
  assert.equal(published.status, 0, published.out);

  const release = await found("project:demo-pkg tag:project:release:add");
  assert.equal(release.actor.name, "alice");
  assert.equal(release.credential.kind, "session"); // of the sign-in; what npm token create makes is a token
  assert.equal(release.outcome, "success");
  assert.equal(release.metadata.version, "1.0.0");

  const receipt = run(["receipt", String(release.seq)]);
  assert.equal(receipt.status, 0, receipt.stderr);
  const key = run(["keys", "log"]).stdout;

  // Another machine: an empty directory, no environment, no log.
  const elsewhere = join(dir, "elsewhere");
  mkdirSync(elsewhere);
  writeFileSync(join(elsewhere, "receipt.txt"), receipt.stdout);
  writeFileSync(join(elsewhere, "log.pub"), key);
  const verify = (/** @type {string} */ what) => run(["verify", "-key=log.pub", what], {}, elsewhere);
  const yes = verify("receipt.txt");
  assert.equal(yes.status, 0, yes.stderr);
  assert.match(yes.stdout, /^yes: this is event \d+ of log\.example\/e2e/);
  assert.match(yes.stdout, /actor\.name +alice/);

  await t.test("a changed receipt is refused", () => {
    for (let i = 0; i < receipt.stdout.length; i += 61) {
      const changed = Buffer.from(receipt.stdout, "utf8");
      changed[i] ^= 1;
      writeFileSync(join(elsewhere, "changed.txt"), changed);
      const no = verify("changed.txt");
      assert.equal(no.status, 3, `byte ${i}: ${no.stdout}${no.stderr}`);
    }
  });

  await t.test("a changed log is refused, with the place", async () => {
    log.kill("SIGINT");
    await once(log, "exit");
    const good = run(["verify", `-key=${join(elsewhere, "log.pub")}`, "data"], {});
    assert.equal(good.status, 0, good.stderr);
    for (const part of ["journal", "tree"]) {
      for (const name of readdirSync(join(dir, "data", part))) {
        const size = statSync(join(dir, "data", part, name)).size;
        for (const offset of [0, Math.floor(size / 2), size - 1].filter((o) => o >= 0 && o < size)) {
          cpSync(join(dir, "data"), join(dir, "copy"), { recursive: true });
          const file = join(dir, "copy", part, name);
          const bytes = readFileSync(file);
          bytes[offset] ^= 0x10;
          writeFileSync(file, bytes);
          const no = run(["verify", `-key=${join(elsewhere, "log.pub")}`, "copy"], {});
          assert.equal(no.status, 3, `${part}/${name} at ${offset}: ${no.stdout}${no.stderr}`);
          assert.match(no.stderr, /journal|tree/);
          rmSync(join(dir, "copy"), { recursive: true });
        }
      }
    }
  });
});
