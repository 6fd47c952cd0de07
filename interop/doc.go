// Package interop has no code of its own: its tests let programs that are not
// of our making judge logs that Custody made.
package interop
