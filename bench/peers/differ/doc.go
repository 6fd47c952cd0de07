// Package differ has nothing but a test: it asks the store and SQLite the same
// questions about the same events. What SQLite knows of them the test writes
// from their JSON, into plain tables, by code that shares nothing with the
// store's.
package differ
