package export

// bundleReadme is what a bundle says of itself.
const bundleReadme = `This is an evidence bundle of an audit log: events, and for each the proof that
the log has it, unchanged, at its position.

  manifest.json      what was asked for, when, and the sizes and hashes of the rest
  events.ndjson      the events, one JSON object a line
  receipts/SEQ.receipt   the proof of the event at position SEQ (C2SP tlog-proof, text)
  checkpoint         the log's signed tree head that all the proofs lead to
  policy.txt         the log's public keys and witnesses, as whoever made this has them

Check it with a public key of the log that you have FROM ELSEWHERE. Do not use
policy.txt for that: whoever forges a bundle puts their own key there.

With Custody

  custody verify -key log.key THIS-FILE.zip

checks every receipt, that it shows what events.ndjson says, that nothing is
missing or left over, and every byte of the file.

Without Custody

A receipt is text. Its line "extra" is, in base64, the fields of the event with
their salts. Hash them as docs/format/event.md of the Custody project says:

  field       SHA-256( F1 || salt || length of name || name || type || value )
  commitment  SHA-256( F2 01 || number of fields || digests of the fields )
  leaf        SHA-256( 00 01 || commitment )

Climb from the leaf at position "index" along the hashes of the receipt to the
root, as RFC 9162, section 2.1.3.2, says. The root must be that of the signed
note at the receipt's end. Check its signature with any program for C2SP signed
notes. One receipt is enough to prove one event; no other file is needed for it.

What it proves, and what not

Proved: each event shown was recorded so, at that position of that log. Not
proved, but said by whoever made this: that these are all events that were asked
for ("complete"), and the sentence ("text") and severity of each, which are made
from the event. Fields that the receipt does not show were hidden or erased.
`
