package catalogue

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A file is one YAML file while it is read. Its errors name file and line.
type file struct {
	name string
}

// errorf returns an error about what stands at node.
func (f file) errorf(node *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("catalogue: %s:%d: %w", f.name, node.Line, fmt.Errorf(format, args...))
}

// parse returns the top of the one document in data.
func (f file) parse(data []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	if err := decoder.Decode(&document); err != nil {
		return nil, f.syntaxError(err)
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, f.errorf(&second, "a second document; want one to a file")
	case !errors.Is(err, io.EOF):
		return nil, f.syntaxError(err)
	}
	if len(document.Content) != 1 {
		return nil, f.errorf(&document, "want one document")
	}
	return document.Content[0], nil
}

// syntaxError returns err, which the YAML reader gave, in the form of ours.
func (f file) syntaxError(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("catalogue: %s:1: nothing in the file", f.name)
	}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if line, reason, ok := strings.Cut(rest, ": "); ok {
			if _, err := strconv.Atoi(line); err == nil {
				return fmt.Errorf("catalogue: %s:%s: %s", f.name, line, reason)
			}
		}
	}
	return fmt.Errorf("catalogue: %s:1: %s", f.name, text)
}

// members reads the mapping at node and calls for each key the reader of that
// name. An unknown key and a key that is there twice are errors.
func (f file) members(node *yaml.Node, what string, read map[string]func(*yaml.Node) error) error {
	return f.eachMember(node, what, func(key, value *yaml.Node) error {
		member, ok := read[key.Value]
		if !ok {
			return f.errorf(key, "%s has no key %q", what, key.Value)
		}
		return member(value)
	})
}

// eachMember calls member for each key of the mapping at node and its value, in
// their order. A key that is there twice is an error.
func (f file) eachMember(node *yaml.Node, what string, member func(key, value *yaml.Node) error) error {
	if node.Kind != yaml.MappingNode {
		return f.errorf(node, "%s: want keys and values", what)
	}
	lines := make(map[string]int)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			return f.errorf(key, "%s: want a plain key", what)
		}
		if line, ok := lines[key.Value]; ok {
			return f.errorf(key, "%s has the key %q twice, first on line %d", what, key.Value, line)
		}
		lines[key.Value] = key.Line
		if err := member(key, value); err != nil {
			return err
		}
	}
	return nil
}

// items calls item for each item of the list at node.
func (f file) items(node *yaml.Node, what string, item func(*yaml.Node) error) error {
	if node.Kind != yaml.SequenceNode {
		return f.errorf(node, "%s: want a list", what)
	}
	for _, n := range node.Content {
		if err := item(n); err != nil {
			return err
		}
	}
	return nil
}

// text reads the string at node, which must not be empty.
func (f file) text(node *yaml.Node, what string) (string, error) {
	if node.Kind != yaml.ScalarNode || node.Tag != "!!str" {
		return "", f.errorf(node, "%s: want a string; quote it if it is one", what)
	}
	if strings.TrimSpace(node.Value) == "" {
		return "", f.errorf(node, "%s is empty", what)
	}
	return node.Value, nil
}

// texts reads the list of strings at node, none of which is there twice.
func (f file) texts(node *yaml.Node, what string) ([]string, error) {
	var all []string
	seen := make(map[string]bool)
	err := f.items(node, what, func(n *yaml.Node) error {
		s, err := f.text(n, what)
		if err != nil {
			return err
		}
		if seen[s] {
			return f.errorf(n, "%s has %q twice", what, s)
		}
		seen[s] = true
		all = append(all, s)
		return nil
	})
	return all, err
}

// flag reads true or false at node.
func (f file) flag(node *yaml.Node, what string) (bool, error) {
	if node.Kind != yaml.ScalarNode || node.Tag != "!!bool" {
		return false, f.errorf(node, "%s: want true or false", what)
	}
	return node.Value == "true", nil
}

// readers reads the list of readers at node and adds those who may see whatever
// these see.
func (f file) readers(node *yaml.Node, what string) (Readers, error) {
	var all Readers
	err := f.items(node, what, func(n *yaml.Node) error {
		name, err := f.text(n, what)
		if err != nil {
			return err
		}
		r, ok := readerNamed(name)
		if !ok {
			return f.errorf(n, "%s: no reader is called %q; want %s", what, name, strings.Join(readerNames, ", "))
		}
		if all.Has(r) {
			return f.errorf(n, "%s has %q twice", what, name)
		}
		all |= r
		return nil
	})
	if err == nil && all == 0 {
		err = f.errorf(node, "%s names nobody", what)
	}
	return all.closed(), err
}
