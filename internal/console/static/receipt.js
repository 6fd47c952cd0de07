// @ts-check
// Checks a receipt as proof.Receipt.Verify does in Go, written from the
// documents in docs/format alone: the disclosed fields give the event's
// commitment, the commitment is in the tree, the log's key signed the tree.
// It runs in browsers and in Node; nothing is loaded, nothing is sent.

const PROOF_HEADER = "c2sp.org/tlog-proof@v1\n";
const MAX_FIELDS = 256;
const MAX_PATH = 60;
const MAX_BYTES = 1 << 20;

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */
/** @typedef {{name: string, type: number, value: Bytes, text: string}} Field */
/** @typedef {{open: false, digest: Bytes} | {open: true, salt: Bytes, name: string, type: number, value: Bytes}} Disclosed */

/**
 * Returns what a receipt proves, or throws an Error that says why it proves
 * nothing.
 *
 * @param {string} text the receipt
 * @param {string} key the log's public key, as "name+hash+base64"
 * @returns {Promise<{seq: number, size: number, origin: string, fields: Field[], hidden: number}>}
 */
export async function verifyReceipt(text, key) {
  const { extra, index, path, checkpoint } = parseProof(text);
  const disclosed = decodeDisclosure(extra);
  const leaf = await hash(Uint8Array.of(0, 1), await commitmentOf(disclosed));
  const { origin, size, root } = await openCheckpoint(checkpoint, key);
  const top = await climb(leaf, index, size, path);
  if (!same(top, root)) {
    throw new Error("the event does not hash up to the signed root");
  }
  const fields = [];
  for (const f of disclosed) {
    if (f.open) {
      fields.push({ name: f.name, type: f.type, value: f.value, text: textOf(f.type, f.value) });
    }
  }
  return { seq: index, size, origin, fields, hidden: disclosed.length - fields.length };
}

/**
 * Takes a c2sp.org/tlog-proof@v1 apart.
 *
 * @param {string} text
 */
function parseProof(text) {
  if (text.length > MAX_BYTES) {
    throw new Error(`the receipt is longer than ${MAX_BYTES} bytes`);
  }
  if (!text.startsWith(PROOF_HEADER)) {
    throw new Error("this is not a receipt: it does not start with c2sp.org/tlog-proof@v1");
  }
  const end = text.indexOf("\n\n");
  if (end < 0) {
    throw new Error("the receipt has no checkpoint");
  }
  const [extraLine, indexLine, ...hashes] = text.slice(PROOF_HEADER.length, end).split("\n");
  if (!extraLine?.startsWith("extra ")) {
    throw new Error("the receipt discloses nothing");
  }
  if (!indexLine?.startsWith("index ")) {
    throw new Error("the receipt has no index");
  }
  if (hashes.length > MAX_PATH) {
    throw new Error(`the path has more than ${MAX_PATH} hashes`);
  }
  return {
    extra: fromBase64(extraLine.slice("extra ".length)),
    index: decimal(indexLine.slice("index ".length)),
    path: hashes.map(hashFromBase64),
    checkpoint: text.slice(end + 2),
  };
}

/**
 * Takes a disclosure apart, see docs/format/receipt.md.
 *
 * @param {Bytes} b
 */
function decodeDisclosure(b) {
  const view = new DataView(b.buffer, b.byteOffset, b.byteLength);
  let at = 0;
  const take = (/** @type {number} */ n) => {
    if (at + n > b.length) {
      throw new Error("the disclosure ends early");
    }
    at += n;
    return b.slice(at - n, at);
  };
  if (take(1)[0] !== 1) {
    throw new Error("the disclosure has a version that is not known here");
  }
  take(2);
  const count = view.getUint16(1);
  if (count === 0 || count > MAX_FIELDS) {
    throw new Error(`the disclosure has ${count} fields`);
  }
  /** @type {Disclosed[]} */
  const fields = [];
  /** @type {Bytes} */
  let last = new Uint8Array();
  for (let i = 0; i < count; i++) {
    const kind = take(1)[0];
    if (kind === 0) {
      fields.push({ open: false, digest: take(32) });
      continue;
    }
    if (kind !== 1) {
      throw new Error(`field ${i} of the disclosure is of kind ${kind}`);
    }
    const salt = take(16);
    const name = take(take(1)[0]);
    if (compare(last, name) >= 0) {
      throw new Error(`field ${i} of the disclosure is out of order`);
    }
    last = name;
    const type = take(1)[0];
    take(4);
    const value = take(view.getUint32(at - 4));
    checkValue(type, value);
    fields.push({ open: true, salt, name: utf8(name), type, value });
  }
  if (at !== b.length) {
    throw new Error("the disclosure has bytes too many");
  }
  return fields;
}

/**
 * Throws unless value has the form that its type demands.
 *
 * @param {number} type
 * @param {Bytes} value
 */
function checkValue(type, value) {
  const sizes = [undefined, -1, 8, 1, 8, 16, -1];
  const want = sizes[type];
  if (want === undefined) {
    throw new Error(`type ${type} is not known`);
  }
  if ((want >= 0 && value.length !== want) || (type === 3 && value[0] > 1)) {
    throw new Error(`a value of type ${type} has the wrong form`);
  }
  if (type === 1) {
    utf8(value);
  }
}

/**
 * Returns the commitment of the event that fields disclose.
 *
 * @param {Disclosed[]} fields
 */
async function commitmentOf(fields) {
  const digests = [];
  for (const f of fields) {
    if (!f.open) {
      digests.push(f.digest);
      continue;
    }
    const name = new TextEncoder().encode(f.name);
    digests.push(
      await hash(
        Uint8Array.of(0xf1),
        f.salt,
        Uint8Array.of(name.length),
        name,
        Uint8Array.of(f.type),
        f.value,
      ),
    );
  }
  return hash(Uint8Array.of(0xf2, 0x01, fields.length >> 8, fields.length & 0xff), ...digests);
}

/**
 * Returns the tree of a checkpoint after checking its signature.
 *
 * @param {string} checkpoint
 * @param {string} key
 */
async function openCheckpoint(checkpoint, key) {
  const { name, id, publicKey } = await parseKey(key);
  const end = checkpoint.indexOf("\n\n");
  if (end < 0 || !checkpoint.endsWith("\n")) {
    throw new Error("the checkpoint has no signatures");
  }
  const text = checkpoint.slice(0, end + 1);
  const lines = checkpoint.slice(end + 2, -1).split("\n");
  let signed = false;
  for (const line of lines) {
    const [dash, signer, b64, ...rest] = line.split(" ");
    if (dash !== "\u2014" || !signer || b64 === undefined || rest.length > 0) {
      throw new Error("the checkpoint has a line that is no signature");
    }
    const signature = fromBase64(b64);
    if (signer !== name || !same(signature.slice(0, 4), id)) {
      continue;
    }
    const data = new TextEncoder().encode(text);
    if (!(await crypto.subtle.verify("Ed25519", publicKey, signature.slice(4), data))) {
      throw new Error(`the signature of ${name} is not valid`);
    }
    signed = true;
  }
  if (!signed) {
    throw new Error(`the checkpoint is not signed by ${name}`);
  }
  const [origin, size, root] = text.split("\n");
  if (origin !== name) {
    throw new Error(`the checkpoint is of ${origin}, not of ${name}`);
  }
  return { origin, size: decimal(size), root: hashFromBase64(root) };
}

/**
 * Reads a verifier key as in c2sp.org/signed-note.
 *
 * @param {string} key
 */
async function parseKey(key) {
  const a = key.indexOf("+");
  const b = key.indexOf("+", a + 1);
  if (a < 1 || b < 0) {
    throw new Error("the key is not of the form name+hash+base64");
  }
  const name = key.slice(0, a);
  const raw = fromBase64(key.slice(b + 1));
  if (raw.length !== 33 || raw[0] !== 1) {
    throw new Error("the key is not an Ed25519 key");
  }
  const id = (await hash(new TextEncoder().encode(`${name}\n`), raw)).slice(0, 4);
  if (Array.from(id, (x) => x.toString(16).padStart(2, "0")).join("") !== key.slice(a + 1, b)) {
    throw new Error("the key was damaged: its hash is not that of the key");
  }
  const publicKey = await crypto.subtle.importKey("raw", raw.slice(1), "Ed25519", false, ["verify"]);
  return { name, id, publicKey };
}

/**
 * Returns the root of a tree of the given size, from the leaf at index and the
 * hashes beside its way up (RFC 9162, section 2.1.3.2).
 *
 * @param {Bytes} leaf
 * @param {number} index
 * @param {number} size
 * @param {Bytes[]} path
 */
async function climb(leaf, index, size, path) {
  if (index >= size) {
    throw new Error(`the checkpoint of size ${size} does not cover event ${index}`);
  }
  let node = index;
  let last = size - 1;
  let top = leaf;
  for (const sibling of path) {
    if (last === 0) {
      throw new Error("the path is too long");
    }
    if (node % 2 === 1 || node === last) {
      top = await hash(Uint8Array.of(1), sibling, top);
      while (node % 2 === 0 && node !== 0) {
        node = Math.floor(node / 2);
        last = Math.floor(last / 2);
      }
    } else {
      top = await hash(Uint8Array.of(1), top, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  if (last !== 0) {
    throw new Error("the path is too short");
  }
  return top;
}

/**
 * Returns a value as people write it.
 *
 * @param {number} type
 * @param {Bytes} value
 */
function textOf(type, value) {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  switch (type) {
    case 2:
      return view.getBigInt64(0).toString();
    case 3:
      return value[0] === 1 ? "true" : "false";
    case 4:
      return timeText(view.getBigInt64(0));
    case 5:
      return addressText(view);
    default:
      return utf8(value);
  }
}

/** @param {bigint} micros since 1970 */
function timeText(micros) {
  const second = micros / 1000000n;
  const rest = (micros % 1000000n).toString().padStart(6, "0").replace(/0+$/, "");
  const text = new Date(Number(second) * 1000).toISOString().slice(0, 19);
  return rest === "" ? `${text}Z` : `${text}.${rest}Z`;
}

/** @param {DataView} view 16 bytes */
function addressText(view) {
  const groups = Array.from({ length: 8 }, (_, i) => view.getUint16(2 * i));
  if (groups.slice(0, 5).every((g) => g === 0) && groups[5] === 0xffff) {
    return Array.from({ length: 4 }, (_, i) => view.getUint8(12 + i)).join(".");
  }
  const text = groups.map((g) => g.toString(16)).join(":");
  // The longest run of zeros, the first of equals, becomes "::" (RFC 5952).
  const runs = text.match(/\b0(?::0)+\b/g) ?? [];
  const longest = runs.reduce((a, b) => (b.length > a.length ? b : a), "");
  return longest === "" ? text : text.replace(longest, ":").replace(/:{2,}/, "::");
}

/**
 * Returns SHA-256 of all parts, one after the other.
 *
 * @param {...Bytes} parts
 */
async function hash(...parts) {
  const data = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    data.set(p, at);
    at += p.length;
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
}

/**
 * Reads base64 that has exactly one spelling.
 *
 * @param {string} s
 * @returns {Bytes}
 */
function fromBase64(s) {
  const b = Uint8Array.from(atob(s), (c) => c.charCodeAt(0));
  let binary = "";
  for (const x of b) {
    binary += String.fromCharCode(x);
  }
  if (btoa(binary) !== s) {
    throw new Error("base64 is not in its one form");
  }
  return b;
}

/** @param {string} s */
function hashFromBase64(s) {
  const b = fromBase64(s);
  if (b.length !== 32) {
    throw new Error(`a hash has ${b.length} bytes`);
  }
  return b;
}

/** @param {string} s */
function decimal(s) {
  const n = Number(s);
  if (!/^(0|[1-9][0-9]*)$/.test(s) || !Number.isSafeInteger(n)) {
    throw new Error(`${JSON.stringify(s)} is not a whole number`);
  }
  return n;
}

/** @param {Bytes} b */
const utf8 = (b) => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(b);

/**
 * @param {Bytes} a
 * @param {Bytes} b
 */
const same = (a, b) => compare(a, b) === 0;

/**
 * Compares bytewise, as names of fields are ordered.
 *
 * @param {Bytes} a
 * @param {Bytes} b
 */
function compare(a, b) {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (a[i] !== b[i]) {
      return a[i] - b[i];
    }
  }
  return a.length - b.length;
}
