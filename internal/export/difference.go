package export

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// difference names the first member in which two objects differ.
func difference(said, proved []byte) string {
	var a, b any
	if json.Unmarshal(said, &a) != nil || json.Unmarshal(proved, &b) != nil {
		return "it is not JSON"
	}
	if d := differenceAt("", a, b); d != "" {
		return d
	}
	return "it is written in another way"
}

// differenceAt returns where a and b, both at path, differ first, or "".
func differenceAt(path string, a, b any) string {
	switch a := a.(type) {
	case map[string]any:
		if b, ok := b.(map[string]any); ok {
			return differenceIn(path, a, b)
		}
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			break
		}
		for i := range a {
			if d := differenceAt(path+"["+strconv.Itoa(i)+"]", a[i], b[i]); d != "" {
				return d
			}
		}
		return ""
	default:
		if a == b {
			return ""
		}
	}
	return fmt.Sprintf("%s is %s, and %s is proved", printable(path), shown(a), shown(b))
}

// differenceIn compares two objects, member by member.
func differenceIn(path string, a, b map[string]any) string {
	if path != "" {
		path += "."
	}
	names := slices.Sorted(maps.Keys(a))
	for name := range b {
		if _, both := a[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		x, there := a[name]
		y, proved := b[name]
		switch {
		case !there:
			return printable(path+name) + " is proved, and not there"
		case !proved:
			return printable(path+name) + " is not proved"
		}
		if d := differenceAt(path+name, x, y); d != "" {
			return d
		}
	}
	return ""
}

// shown returns a value as an error can show it.
func shown(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return short(string(data))
}
