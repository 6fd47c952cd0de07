package retain

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/custody-log/custody/event"
)

// What an erasure took is a set of records for each number of a field, and one
// for each slot. Numbers of fields, not names: a record's fields never change
// their order, there are at most 256, and sources choose some of the names.
//
//	"custeras" ‖ u32 version = 1
//	n × set: u8 kind (1 field, 2 slot) ‖ u8 number ‖ u32 bytes ‖ set
//	u32 CRC-32C of all before
//
// Sets are in order of kind and number, none is empty, and each is a 32-bit
// Roaring bitmap in its portable form. Integers are little-endian. Nothing in it
// says who was erased.
const (
	takenMagic   = "custeras"
	takenVersion = 1
	fieldSet     = 1
	slotSet      = 2
	takenHead    = len(takenMagic) + 4
	setHead      = 6
)

// maxTakenBytes bounds the file of what one erasure took.
const maxTakenBytes = 256 << 20

// MaxSeq is the last position that an erasure can reach.
const MaxSeq = math.MaxUint32

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A taken is what an erasure took. It is never modified.
type taken struct {
	sets []numberedSet // in order of kind and number
}

// A numberedSet is the records from which a field was taken, or in which the
// person stood in a slot.
type numberedSet struct {
	kind, number uint8
	set          *roaring.Bitmap
}

// order compares the place of s with that of a set of the given kind and number.
func (s numberedSet) order(kind, number uint8) int {
	return cmp.Or(cmp.Compare(s.kind, kind), cmp.Compare(s.number, number))
}

// find returns where the set of that kind and number is, or belongs.
func (t *taken) find(kind, number uint8) (at int, there bool) {
	return slices.BinarySearchFunc(t.sets, number, func(s numberedSet, number uint8) int { return s.order(kind, number) })
}

// with returns t with touches in it.
func (t *taken) with(touches []Touch) (*taken, error) {
	next := &taken{sets: make([]numberedSet, len(t.sets))}
	for i, s := range t.sets {
		next.sets[i] = numberedSet{s.kind, s.number, s.set.Clone()}
	}
	for i := range touches {
		touch := &touches[i]
		if touch.Seq < 0 || touch.Seq > MaxSeq {
			return nil, fmt.Errorf("retain: record %d cannot be in the ledger: its last is %d", touch.Seq, int64(MaxSeq))
		}
		for _, number := range touch.Fields {
			if number < 0 || number >= event.MaxFields {
				return nil, fmt.Errorf("retain: record %d has no field %d", touch.Seq, number)
			}
			next.add(fieldSet, uint8(number), uint32(touch.Seq))
		}
		for _, slot := range touch.Slots {
			if slot >= MaxSlots {
				return nil, fmt.Errorf("retain: record %d has no slot %d", touch.Seq, slot)
			}
			next.add(slotSet, uint8(slot), uint32(touch.Seq))
		}
	}
	return next, nil
}

// add enters a record. Only with may call it, on what nobody else has yet.
func (t *taken) add(kind, number uint8, seq uint32) {
	at, there := t.find(kind, number)
	if !there {
		t.sets = slices.Insert(t.sets, at, numberedSet{kind, number, roaring.New()})
	}
	t.sets[at].set.Add(seq)
}

// records returns the set of all records from which something was taken.
func (t *taken) records() *roaring.Bitmap {
	all := roaring.New()
	for _, s := range t.sets {
		all.Or(s.set)
	}
	return all
}

// count returns how many records and fields were touched.
func (t *taken) count() (records, fields int64) {
	for _, s := range t.sets {
		if s.kind == fieldSet {
			fields += int64(s.set.GetCardinality())
		}
	}
	return int64(t.records().GetCardinality()), fields
}

// touch adds to what what t took from a record.
func (t *taken) touch(what *Touch) {
	for _, s := range t.sets {
		switch {
		case !s.set.Contains(uint32(what.Seq)):
		case s.kind == fieldSet:
			what.Fields = append(what.Fields, int(s.number))
		default:
			what.Slots = append(what.Slots, Slot(s.number))
		}
	}
}

// encode returns the file.
func (t *taken) encode() ([]byte, error) {
	b := binary.LittleEndian.AppendUint32([]byte(takenMagic), takenVersion)
	for _, s := range t.sets {
		set := s.set.Clone()
		set.RunOptimize()
		data, err := set.ToBytes()
		if err != nil {
			return nil, fmt.Errorf("retain: what an erasure took: %w", err)
		}
		b = append(b, s.kind, s.number)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
		b = append(b, data...)
	}
	if len(b)+4 > maxTakenBytes {
		return nil, fmt.Errorf("retain: what an erasure took has %d bytes, at most %d", len(b)+4, maxTakenBytes)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)), nil
}

// decodeTaken reads what encode returned and refuses all else.
func decodeTaken(data []byte) (*taken, error) {
	end := len(data) - 4
	if end < takenHead || string(data[:len(takenMagic)]) != takenMagic || binary.LittleEndian.Uint32(data[len(takenMagic):]) != takenVersion {
		return nil, invalid("is not what an erasure took, version %d", takenVersion)
	}
	if crc32.Checksum(data[:end], castagnoli) != binary.LittleEndian.Uint32(data[end:]) {
		return nil, invalid("checksum mismatch")
	}
	t := new(taken)
	for rest := data[takenHead:end]; len(rest) > 0; {
		if len(rest) < setHead {
			return nil, invalid("ends early")
		}
		kind, number := rest[0], rest[1]
		size := int64(binary.LittleEndian.Uint32(rest[2:]))
		known := kind == fieldSet || kind == slotSet && Slot(number) < MaxSlots
		last := len(t.sets) - 1
		if !known || last >= 0 && t.sets[last].order(kind, number) >= 0 || size > int64(len(rest)-setHead) {
			return nil, invalid("set %d of kind %d is out of order", number, kind)
		}
		set, err := decodeSet(rest[setHead : setHead+size])
		if err != nil {
			return nil, invalid("set %d of kind %d: %v", number, kind, err)
		}
		t.sets = append(t.sets, numberedSet{kind, number, set})
		rest = rest[setHead+size:]
	}
	return t, nil
}

func decodeSet(data []byte) (*roaring.Bitmap, error) {
	set := roaring.New()
	if err := set.UnmarshalBinary(data); err != nil {
		return nil, err
	}
	if set.IsEmpty() {
		return nil, invalid("is empty")
	}
	if err := set.Validate(); err != nil {
		return nil, err
	}
	return set, nil
}
