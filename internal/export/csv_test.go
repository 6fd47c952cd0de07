package export_test

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/internal/export"
)

// readCSV returns the rows of a file, each by column.
func readCSV(t *testing.T, data []byte) []map[string]string {
	t.Helper()
	lines, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(lines[0], export.Columns()) {
		t.Fatalf("the first line is %q", lines[0])
	}
	rows := make([]map[string]string, len(lines)-1)
	for i, line := range lines[1:] {
		rows[i] = make(map[string]string)
		for k, cell := range line {
			rows[i][lines[0][k]] = cell
		}
	}
	return rows
}

// What another program reads must be what the event says.
func TestCSVReadsBack(t *testing.T) {
	data := write(t, export.CSV, export.Oldest, oddRows(t)...)
	rows := readCSV(t, data)
	if len(rows) != 4 {
		t.Fatalf("%d rows, want 4", len(rows))
	}
	for i, want := range []map[string]string{
		{
			"seq": "7", "time": "1970-01-01T00:00:00.000000Z", "received": "2026-11-02T13:30:00.000000Z", "ip": "2001:db8::1",
			"actor_name": "'=cmd|'/c calc'!A0", "user_agent": "'-2+3", "version": "9.9.9", "trace_id": "t", "origin": "cron",
			"source": "registry", "trust": "witnessed", "outcome": "success", "subjects": "", "source_seq": "",
		},
		{"seq": "8", "tag": "user:login", "time": "2026-01-01T00:00:00.500000Z", "metadata": "", "project": "", "class": "user"},
		{
			"seq": "3", "time": "9999-12-31T23:59:59.999999Z", "actor_type": "admin", "on_behalf_of_type": "user", "on_behalf_of_name": "root",
			"credential_kind": "oidc", "credential_mfa": "totp", "credential_session": "s", "project": "demo-pkg", "org": "o1", "version": "2.0.0",
			"ip": "198.51.100.7", "request_id": "r-1", "source_seq": "41", "reason": "''quoted', \"twice\"\nand lines", "reason_internal": "i",
			"changes": `[{"field":"a"},{"field":"b","old":1,"new":true},{"field":"c","old":{"x":[1.5]},"new":""}]`,
			"oidc":    `{"issuer":"https://issuer.example","subject":"s","repository":"r","workflow_ref":"w","ref":"f","sha":"a","run_id":"1","environment":"e"}`,
		},
		{"seq": "9", "id": "", "actor_type": "", "changes": `[{"field":""},{"field":"","new":true}]`, "project": "", "received": ""},
	} {
		for name, value := range want {
			if got, found := rows[i][name]; !found || got != value {
				t.Errorf("row %d: %s is %q, want %q", i, name, got, value)
			}
		}
	}
	if head, _, _ := bytes.Cut(data, []byte("\n")); !bytes.HasSuffix(head, []byte("origin\r")) || !bytes.HasSuffix(data, []byte("\r\n")) {
		t.Error("lines do not end as in RFC 4180")
	}
}

// A cell that a spreadsheet takes for a formula runs what an attacker named a
// package.
func TestNoCellIsAFormula(t *testing.T) {
	for _, text := range []string{
		"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠x", "'=1", "=1,2", "=\"a\"",
	} {
		cell := readCell(t, text)
		if cell[0] != '\'' {
			t.Errorf("cell of %q is %q: it begins with %q", text, cell, cell[0])
		}
	}
	for _, text := range []string{"demo-pkg", "1.0.0", "{}", "a=b", "é", "ｱ"} {
		if cell := readCell(t, text); cell != text {
			t.Errorf("cell of %q is %q", text, cell)
		}
	}
}

// Whoever takes the ' from the front of cells must get the texts back.
func TestCellsComeBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`['=+@\-\t\r\n;," a]{1,6}`)).Draw(rt, "text")
		if strings.Contains(text, "\r\n") || text == "" {
			return // which encoding/csv reads as \n
		}
		if got := strings.TrimPrefix(readCell(t, text), "'"); got != text {
			rt.Fatalf("cell of %q reads back as %q", text, got)
		}
	})
}

// readCell returns what a reader of CSV makes of the cell of text.
func readCell(t *testing.T, text string) string {
	t.Helper()
	line := append(export.AppendCell(nil, []byte(text)), ",x\r\n"...)
	cells, err := csv.NewReader(bytes.NewReader(line)).Read()
	if err != nil || len(cells) != 2 || cells[1] != "x" {
		t.Fatalf("cell of %q reads as %q, %v", text, cells, err)
	}
	return cells[0]
}
