// The second verifier, written from the format documents, must agree with the
// first about every vector, and refuse each after any one byte was changed.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { verifyReceipt } from "../internal/console/static/receipt.js";

const dir = new URL("../testdata/vectors/", import.meta.url);

for (const file of readdirSync(dir)) {
  const vector = JSON.parse(readFileSync(new URL(file, dir), "utf8"));

  test(`${vector.name}: the receipt proves the fields of the vector`, async () => {
    const got = await verifyReceipt(vector.receipt, vector.key);
    assert.equal(got.seq, vector.index);
    assert.equal(got.size, vector.size);
    const hidden = vector.hidden ?? [];
    assert.equal(got.hidden, hidden.length);
    const want = vector.fields.filter((f) => !hidden.includes(f.name));
    assert.deepEqual(
      got.fields.map((f) => ({ name: f.name, type: f.type, value: Buffer.from(f.value).toString("hex") })),
      want.map(({ name, type, value }) => ({ name, type, value })),
    );
  });

  test(`${vector.name}: no byte of the receipt can be changed`, async () => {
    const good = Buffer.from(vector.receipt, "utf8");
    // Every byte of one, and a sample of the others: each takes a signature.
    const step = vector.name === "release" ? 1 : 11;
    for (let i = 0; i < good.length; i += step) {
      const changed = Buffer.from(good);
      changed[i] ^= 0x01;
      await assert.rejects(verifyReceipt(changed.toString("utf8"), vector.key), `byte ${i}`);
    }
  });
}

test("values are shown as people write them", async () => {
  const vector = JSON.parse(readFileSync(new URL("values.json", dir), "utf8"));
  const { fields } = await verifyReceipt(vector.receipt, vector.key);
  const text = Object.fromEntries(fields.map((f) => [f.name, f.text]));
  assert.equal(text["context.ip"], "2001:db8::1");
  assert.equal(text.time, "1970-01-01T00:00:00Z");
  assert.equal(text["metadata.big"], "9223372036854775807");
  assert.equal(text["metadata.yes"], "true");
});

test("another key is refused", async () => {
  const vector = JSON.parse(readFileSync(new URL("minimal.json", dir), "utf8"));
  const other = vector.key.replace("custody.example", "mallory.example");
  await assert.rejects(verifyReceipt(vector.receipt, other), /hash is not that of the key/);
});
