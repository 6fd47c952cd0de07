package event

import "fmt"

// Erase returns the record in body without the private fields that gone
// chooses: their values and salts are no longer in it, their digests are. Asked
// once for each field with its number, gone may also choose what is erased
// already; to choose another field that is not private is an error.
//
// The commitment stays as it is, and so does every other field, with its salt:
// what was proved about them before still holds. The private secret is zeros in
// what is returned, and the private fields that stay carry their salts
// themselves, because the secret would give away those that went.
//
// Without anything to erase it returns body itself, otherwise bytes of their
// own. It refuses a record that does not verify: the digest of a changed value
// would hide for ever what was wrong with it.
func Erase(body []byte, gone func(i int, f *StoredField) bool) (changed []byte, err error) {
	var r Record
	if err := r.Decode(body); err != nil {
		return nil, err
	}
	if err := r.Verify(); err != nil {
		return nil, err
	}
	chosen, err := r.choose(gone)
	if err != nil {
		return nil, err
	}
	if len(chosen) == 0 {
		return body, nil
	}
	r.bury(chosen)
	return r.AppendBody(make([]byte, 0, len(body)+len(r.Fields)*SaltBytes+len(chosen)*DigestBytes)), nil
}

// choose returns the numbers of the fields to erase.
func (r *Record) choose(gone func(i int, f *StoredField) bool) ([]int, error) {
	var chosen []int
	for i := range r.Fields {
		f := &r.Fields[i]
		switch {
		case !gone(i, f) || f.Erased:
		case !f.Private:
			return nil, fmt.Errorf("event: erase: field %d, %s, is not private; hint: only fields that the catalogue calls personal can be erased", i, f.Name)
		default:
			chosen = append(chosen, i)
		}
	}
	return chosen, nil
}

// bury erases the chosen fields of r and destroys its private secret.
func (r *Record) bury(chosen []int) {
	digests, salts := r.Digests()
	for i := range r.Fields {
		if f := &r.Fields[i]; f.Private && !f.Erased {
			f.Carry(salts[i])
		}
	}
	for _, i := range chosen {
		f := &r.Fields[i]
		f.Bury(digests[i])
	}
	clear(r.Secrets.Private[:])
}
