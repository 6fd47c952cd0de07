package main

import "bytes"

// A lineWriter calls each with every line written to it.
type lineWriter struct {
	each func(line []byte) error
	rest []byte // of a line whose end is still to come
}

// Write implements io.Writer.
func (w *lineWriter) Write(b []byte) (int, error) {
	n := len(b)
	for {
		line, after, found := bytes.Cut(b, []byte{'\n'})
		if !found {
			w.rest = append(w.rest, b...)
			return n, nil
		}
		if len(w.rest) > 0 {
			w.rest = append(w.rest, line...)
			line = w.rest
		}
		if err := w.each(line); err != nil {
			return 0, err
		}
		w.rest = w.rest[:0]
		b = after
	}
}
