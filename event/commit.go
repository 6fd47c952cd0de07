package event

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
)

// Sizes of the committed format, in bytes.
const (
	SaltBytes   = 16
	SecretBytes = 16
	DigestBytes = sha256.Size
	EntryBytes  = 1 + DigestBytes
)

// Prefixes keep the hashes of different things apart. The tree's own are 0x00
// and 0x01 (RFC 6962).
const (
	digestPrefix     = 0xF1
	commitmentPrefix = 0xF2
	formatVersion    = 0x01
)

// A Salt hides the value of one field from whoever has only its digest.
type Salt [SaltBytes]byte

// A Digest commits to one field.
type Digest [DigestBytes]byte

// A Commitment commits to all fields of one event.
type Commitment [DigestBytes]byte

// An Entry is what the tree holds for one event.
type Entry [EntryBytes]byte

// Secrets are the two random values of one event from which its salts are
// made. Nothing that outlives Private may reveal a salt made from it: with a
// known salt, an address is found by trying all of them.
type Secrets struct {
	Open    [SecretBytes]byte // for fields that last
	Private [SecretBytes]byte // for personal fields; destroyed by an erasure
}

// DigestOf returns the digest of one field:
//
//	SHA-256( 0xF1 ‖ salt[16] ‖ u8 len(name) ‖ name ‖ u8 type ‖ value )
func DigestOf(salt *Salt, name string, t Type, value []byte) Digest {
	var short [192]byte // most fields fit; append grows beyond
	return sha256.Sum256(appendCommitted(short[:0], salt, name, t, value))
}

// appendCommitted appends what a digest is the hash of.
func appendCommitted(b []byte, salt *Salt, name string, t Type, value []byte) []byte {
	b = append(b, digestPrefix)
	b = append(b, salt[:]...)
	b = append(b, byte(len(name)))
	b = append(b, name...)
	b = append(b, byte(t))
	return append(b, value...)
}

// CommitmentOfDigests returns the commitment to n digests, which stand in
// bytewise order of their fields' names:
//
//	SHA-256( 0xF2 ‖ 0x01 ‖ u16 n ‖ digest_1 ‖ … ‖ digest_n )
func CommitmentOfDigests(digests []Digest) Commitment {
	b := appendCommitmentHead(make([]byte, 0, 4+DigestBytes*len(digests)), len(digests))
	for i := range digests {
		b = append(b, digests[i][:]...)
	}
	return sha256.Sum256(b)
}

func appendCommitmentHead(b []byte, n int) []byte {
	return binary.BigEndian.AppendUint16(append(b, commitmentPrefix, formatVersion), uint16(n))
}

// Entry returns the entry of an event with commitment c: 0x01 ‖ c.
func (c Commitment) Entry() Entry {
	var e Entry
	e[0] = formatVersion
	copy(e[1:], c[:])
	return e
}

// salts holds the salts of one event. Salt i of a secret is the i-th block of
// the AES-128-CTR stream whose key is the secret and whose counter starts at 0:
// AES-128(secret, u128 big-endian i).
type salts struct {
	open, private cipher.Block
	salt          Salt // the one computed last
}

// start makes s give the salts of secrets.
func (s *salts) start(secrets *Secrets) {
	s.open, s.private = newBlock(&secrets.Open), newBlock(&secrets.Private)
}

func newBlock(key *[SecretBytes]byte) cipher.Block {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("event: " + err.Error()) // unreachable: the key has 16 bytes
	}
	return block
}

// at returns the salt of the i-th field of the event, counted from 0 over all
// its fields in order. It is valid until the next call.
func (s *salts) at(i int, private bool) *Salt {
	s.salt = Salt{}
	binary.BigEndian.PutUint64(s.salt[8:], uint64(i))
	block := s.open
	if private {
		block = s.private
	}
	block.Encrypt(s.salt[:], s.salt[:])
	return &s.salt
}

// SaltOf returns the salt of the i-th field of an event with these secrets,
// counted from 0 over all its fields in order.
func SaltOf(s *Secrets, i int, private bool) Salt {
	var all salts
	all.start(s)
	return *all.at(i, private)
}
