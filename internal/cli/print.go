package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
)

// printTree prints a JSON value as lines "path  value", in the order of paths.
func printTree(w io.Writer, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			name := key
			if path != "" {
				name = path + "." + key
			}
			printTree(w, name, v[key])
		}
	case []any:
		for i, element := range v {
			printTree(w, fmt.Sprintf("%s[%d]", path, i), element)
		}
	default:
		fmt.Fprintf(w, "%-26s %s\n", printable(path), printable(fmt.Sprint(v)))
	}
}
