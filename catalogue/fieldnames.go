package catalogue

import "strconv"

// A subjectName has the names of the fields of one subject.
type subjectName struct{ typ, id, name, version, role string }

// A changeName has the names of the fields of one change.
type changeName struct{ field, old, new string }

// The names of the fields of subjects and changes, by number. Nobody changes them.
var (
	subjectNames = newSubjectNames()
	changeNames  = newChangeNames()
)

func newSubjectNames() (list [maxLooked]subjectName) {
	for i := range list {
		of := "subjects." + strconv.Itoa(i) + "."
		list[i] = subjectName{of + "type", of + "id", of + "name", of + "version", of + "role"}
	}
	return list
}

func newChangeNames() (list [maxLooked]changeName) {
	for i := range list {
		of := "changes." + strconv.Itoa(i) + "."
		list[i] = changeName{of + "field", of + "old", of + "new"}
	}
	return list
}
