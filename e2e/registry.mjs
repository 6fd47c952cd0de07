// A private npm registry for a test, and a real npm client to use it with.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const here = (/** @type {string} */ name) => fileURLToPath(new URL(name, import.meta.url));
const startTimeout = 60_000; // milliseconds; alone on the machine it takes one second
const npmTimeout = 60_000; // milliseconds; one that asks a question we do not know waits for ever

// What npm's questions look like, from version 9 to 11.
const prompt = /(Username|Password): $|Email.*[:)] $/;

/**
 * Starts Verdaccio on the loopback, on a fresh directory, and waits until it answers.
 * Stop it, and everything it kept is gone.
 */
export async function startRegistry() {
  const dir = mkdtempSync(join(tmpdir(), "custody-registry-"));
  copyFileSync(here("verdaccio.yaml"), join(dir, "config.yaml"));
  const port = await freePort();
  const verdaccio = here("node_modules/verdaccio/bin/verdaccio");
  const args = [verdaccio, "--config", join(dir, "config.yaml"), "--listen", `127.0.0.1:${port}`];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      said += chunk;
    });
  }
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    rmSync(dir, { recursive: true, force: true });
  };
  const url = `http://127.0.0.1:${port}`;
  for (const end = Date.now() + startTimeout; !(await answers(`${url}/-/ping`)); await sleep(50)) {
    if (child.exitCode !== null || Date.now() > end) {
      await stop();
      throw new Error(`verdaccio does not answer on ${url}: ${said}`);
    }
  }
  return { url, stop };
}

/** @param {string} url */
async function answers(url) {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}

/** A port that was free a moment ago: Verdaccio does not say which one it took for port 0. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  if (address === null || typeof address === "string") {
    throw new Error("no address");
  }
  return address.port;
}

/**
 * Makes a home for one person who uses npm: a directory with a package in it and settings of its own, which
 * know nothing of the machine's.
 * @param {string} url of the registry
 */
export function npmHome(url) {
  const dir = mkdtempSync(join(tmpdir(), "custody-npm-"));
  const settings = join(dir, "user.npmrc");
  writeFileSync(settings, `registry=${url}/\n`);
  mkdirSync(join(dir, "demo-pkg"));
  writeFileSync(join(dir, "demo-pkg", "package.json"), '{ "name": "demo-pkg", "version": "1.0.0" }\n');
  const env = {
    ...process.env,
    HOME: dir,
    npm_config_userconfig: settings,
    npm_config_globalconfig: join(dir, "global.npmrc"),
    npm_config_cache: join(dir, "cache"),
    npm_config_update_notifier: "false",
    npm_config_fund: "false",
    npm_config_audit: "false",
    NO_PROXY: "127.0.0.1",
  };
  /**
   * Runs npm in the package's directory and gives an answer to each question it asks: it reads one line
   * per prompt and drops what came before, so the answers cannot be sent at once.
   * @param {string[]} args
   * @param {string[]} answers
   */
  const npm = async (args, answers = []) => {
    const child = spawn("npm", args, { cwd: join(dir, "demo-pkg"), env, timeout: npmTimeout });
    const left = [...answers];
    let out = "";
    let seen = 0;
    child.stdout.on("data", (chunk) => {
      out += chunk;
      if (prompt.test(out.slice(seen)) && left.length > 0) {
        seen = out.length;
        child.stdin.write(`${left.shift()}\n`);
      }
    });
    child.stderr.on("data", (chunk) => {
      out += chunk;
    });
    const [status] = await once(child, "close");
    return { status, out };
  };
  return { dir, npm, remove: () => rmSync(dir, { recursive: true, force: true }) };
}
