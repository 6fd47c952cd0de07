// The tests of the proxy stand on a registry and a client that are real. These
// say that the two get along without anything of ours between them, so that a
// failure there is a failure of ours.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { npmHome, startRegistry } from "./registry.mjs";

/** @type {Awaited<ReturnType<typeof startRegistry>>} */
let registry;
/** @type {ReturnType<typeof npmHome>} */
let alice;

before(async () => {
  registry = await startRegistry();
  alice = npmHome(registry.url);
});
after(async () => {
  alice?.remove();
  await registry?.stop();
});

test("a stranger may read and not publish", async () => {
  const { status, out } = await alice.npm(["publish"]);
  assert.equal(status, 1);
  assert.match(out, /ENEEDAUTH/);
});

test("a real npm makes an account, publishes and finds what it published", async () => {
  const answers = ["alice", "alice-pass", "alice@example.test"];
  const account = await alice.npm(["adduser", "--auth-type=legacy"], answers);
  assert.equal(account.status, 0, account.out);

  const whoami = await alice.npm(["whoami"]);
  assert.match(whoami.out, /^alice$/m);

  const published = await alice.npm(["publish"]);
  assert.equal(published.status, 0, published.out);

  const view = await alice.npm(["view", "demo-pkg", "dist.tarball"]);
  assert.equal(view.out.trim(), `${registry.url}/demo-pkg/-/demo-pkg-1.0.0.tgz`);
});
