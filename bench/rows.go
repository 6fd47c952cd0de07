package main

import "context"

// How much the rows put on.
const (
	batchEvents = 1000
	submitters  = 8   // of batches
	recordBytes = 450 // of a record, where its content does not matter
)

// A row is one line of the table.
type row struct {
	name   string
	server bool // it needs the program
	run    func(context.Context, *trial) error
}

// rows returns all rows, in the order of the table.
func rows() []row {
	return []row{
		{name: "journal alone, batches", run: journalBatches},
		{name: "journal alone, 64 waiting", run: journalSingle(64)},
		{name: "parse", run: parse},
		{name: "parse, commit", run: parseAndCommit},
		{name: "desk, batches", run: logBatches(deskOnly)},
		{name: "desk, 64 waiting", run: logSingle(deskOnly, 64)},
		{name: "desk + tree, batches", run: logBatches(withTree)},
		{name: "desk + tree, 64 waiting", run: logSingle(withTree, 64)},
		{name: "desk + tree, 1024 waiting", run: logSingle(withTree, 1024)},
		{name: "desk + tree + search, batches", run: logBatches(withSearch)},
		{name: "desk + tree + search, 64 waiting", run: logSingle(withSearch, 64)},
		{name: "HTTP one by one, 1 connection", server: true, run: httpSingle(1)},
		{name: "HTTP one by one, 64 connections", server: true, run: httpSingle(64)},
		{name: "HTTP one by one, 1024 connections", server: true, run: httpSingle(1024)},
		{name: "HTTP batches", server: true, run: httpBatches(plain)},
		{name: "HTTP batches, zstd", server: true, run: httpBatches(compressed)},
		{name: "verify a log", run: verifyLog},
		{name: "verify a receipt", run: verifyReceipt},
		{name: "restart, check all", run: restart},
	}
}
