package main

import "encoding/binary"

// Pebble's keys:
//
//	e number                                    the event, as it was sent
//	p project ∅ time number                     nothing
//	u user ∅ time number                        nothing
//	a address ∅ time number                     nothing
//	k token ∅ time number                       nothing
//	t tag ∅ outcome ∅ time number               the project
//	w word ∅ time number                        nothing; of pebble+words only
//
// where ∅ is a byte of 0 and numbers have 8 bytes, big-endian.
const (
	eventPrefix  = 'e'
	indexProject = 'p'
	indexUser    = 'u'
	indexAddress = 'a'
	indexToken   = 'k'
	indexTag     = 't'
	indexWord    = 'w'

	separator = "\x00"
)

// eventKey returns the key of an event. That of -1 is after all others.
func eventKey(number int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{eventPrefix}, uint64(number))
}

func numberInKey(key []byte) int64 {
	return int64(binary.BigEndian.Uint64(key[len(key)-8:]))
}

func microsInKey(key []byte) int64 {
	return int64(binary.BigEndian.Uint64(key[len(key)-16:]))
}

// indexRange returns the first key of a value in an index from a time on, and
// what is after its last.
func indexRange(index byte, value string, after int64) (begin, end []byte) {
	begin = append(append([]byte{index}, value...), separator...)
	end = append(append([]byte{index}, value...), 1)
	return binary.BigEndian.AppendUint64(begin, uint64(after)), end
}

// pebbleKeys makes keys with one memory.
type pebbleKeys struct {
	key  []byte
	seen map[string]bool // words
}

// each calls do with the keys and values in the indexes for an event. They are
// valid until do returns.
func (k *pebbleKeys) each(e *entry, words bool, do func(key, value []byte) error) error {
	one := func(index byte, value, then string, content []byte) error {
		if value == "" {
			return nil
		}
		k.key = append(append(k.key[:0], index), value...)
		k.key = append(append(k.key, then...), separator...)
		k.key = binary.BigEndian.AppendUint64(k.key, uint64(e.micros))
		k.key = binary.BigEndian.AppendUint64(k.key, uint64(e.number))
		return do(k.key, content)
	}
	for _, x := range [...]struct {
		index       byte
		value, then string
		content     []byte
	}{
		{indexProject, e.project, "", nil},
		{indexUser, e.user, "", nil},
		{indexUser, e.other, "", nil},
		{indexAddress, e.ip, "", nil},
		{indexToken, e.token, "", nil},
		{indexTag, e.tag, separator + e.outcome, []byte(e.project)},
	} {
		if err := one(x.index, x.value, x.then, x.content); err != nil {
			return err
		}
	}
	if !words {
		return nil
	}
	if k.seen == nil {
		k.seen = make(map[string]bool)
	}
	clear(k.seen)
	eachWord(e.text(), func(word string) { k.seen[word] = true })
	for word := range k.seen {
		if err := one(indexWord, word, "", nil); err != nil {
			return err
		}
	}
	return nil
}
