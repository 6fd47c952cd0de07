package segment

import (
	"bytes"
	"encoding/hex"
)

// An entity is written so that entities are in order of their names, and those
// without a name of their ids:
//
//	name, 0x00 as 0x00 0xff │ 0x00 0x01 │ id
//	                        │ 0x00 0x02 │ id but for the name at its end
//
// Runs of hexadecimal digits in ids and tokens are packed, see packHex.

// appendEntity appends the entity of a name and an id; either may be empty.
func appendEntity(dst, name, id []byte) []byte {
	for _, c := range name {
		dst = append(dst, c)
		if c == 0 {
			dst = append(dst, 0xff)
		}
	}
	if len(name) > 0 && len(id) >= len(name) && bytes.HasSuffix(id, name) {
		return packHex(append(dst, 0, 2), id[:len(id)-len(name)])
	}
	return packHex(append(dst, 0, 1), id)
}

// namePrefix returns what all entities begin with whose names begin with name.
func namePrefix(name []byte) []byte {
	dst := make([]byte, 0, len(name)+2)
	for _, c := range name {
		dst = append(dst, c)
		if c == 0 {
			dst = append(dst, 0xff)
		}
	}
	return dst
}

// splitEntity returns the parts of an entity; they are appended to name and id.
func splitEntity(name, id, entity []byte) (n, i []byte) {
	for {
		end := bytes.IndexByte(entity, 0)
		if end < 0 || end+1 == len(entity) {
			panic(damagef("an entity ends early"))
		}
		name = append(name, entity[:end]...)
		mark := entity[end+1]
		entity = entity[end+2:]
		switch mark {
		case 0xff:
			name = append(name, 0)
		case 1:
			return name, unpackHex(id, entity)
		case 2:
			return name, append(unpackHex(id, entity), name...)
		default:
			panic(damagef("an entity with mark %#x", mark))
		}
	}
}

// Codes in packed text.
const (
	codeHex     = 1 // uvarint-free: one byte count, then so many bytes
	codeProject = 2 // the name of the row's first project
	codeLiteral = 5 // the next byte is itself
)

const minHex = 12 // digits worth packing

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }

// packHex appends s, with each long run of hexadecimal digits as half as many
// bytes.
func packHex(dst, s []byte) []byte { return packText(dst, s, nil) }

// packText is packHex that also shortens the name of the project.
func packText(dst, s, project []byte) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case isHex(c):
			n := 1
			for i+n < len(s) && isHex(s[i+n]) {
				n++
			}
			if len(project) > 0 && n < minHex && bytes.HasPrefix(s[i:], project) {
				dst = append(dst, codeProject)
				i += len(project)
				continue
			}
			if even := min(n&^1, 510); even >= minHex {
				dst = append(dst, codeHex, byte(even/2))
				dst, _ = hex.AppendDecode(dst, s[i:i+even])
				i += even
				continue
			}
			if len(project) > 0 { // the name may begin within
				n = 1
			}
			dst = append(dst, s[i:i+n]...)
			i += n
		case len(project) > 0 && c == project[0] && bytes.HasPrefix(s[i:], project):
			dst = append(dst, codeProject)
			i += len(project)
		case c <= codeLiteral && c > 0:
			dst = append(dst, codeLiteral, c)
			i++
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst
}

func unpackHex(dst, s []byte) []byte { return unpackText(dst, s, nil) }

// unpackText appends what packText made of it.
func unpackText(dst, s, project []byte) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case codeHex:
			if i+1 >= len(s) || i+2+int(s[i+1]) > len(s) {
				panic(damagef("packed digits end early"))
			}
			n := int(s[i+1])
			dst = hex.AppendEncode(dst, s[i+2:i+2+n])
			i += 1 + n
		case codeProject:
			dst = append(dst, project...)
		case codeLiteral:
			if i++; i >= len(s) {
				panic(damagef("packed text ends early"))
			}
			dst = append(dst, s[i])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
