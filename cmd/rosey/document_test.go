package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/config"
)

var update = flag.Bool("update", false, "update the tables in the documents")

const tableEnd = "<!-- End of the table -->\n"

// compareTable compares the table in a document with the one that belongs there, and returns the rest of the document.
func compareTable(t *testing.T, document, table string) (around string) {
	t.Helper()
	content, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	begin := fmt.Sprintf("<!-- The table is written by go test ./cmd/rosey -run %s -update -->\n", t.Name())
	before, rest, found := strings.Cut(string(content), begin)
	documented, after, ended := strings.Cut(rest, tableEnd)
	if !found || !ended {
		t.Fatalf("%s: the comments around the table are missing", document)
	}
	if *update {
		if err := os.WriteFile(document, []byte(before+begin+table+tableEnd+after), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(strings.Split(table, "\n"), strings.Split(documented, "\n")); diff != "" {
		t.Errorf("%s, use -update (-is +documented):\n%s", document, diff)
	}
	return before + after
}

func TestConfigurationDocument(t *testing.T) {
	var table strings.Builder
	table.WriteString("\n| key | flag | variable | default | what |\n|---|---|---|---|---|\n")
	for _, key := range config.Keys() {
		defaultValue := ""
		if key.Default != "" {
			defaultValue = "`" + key.Default + "`"
		}
		fmt.Fprintf(&table, "| `%s` | `--%s` | `%s` | %s | %s |\n", key.Path, key.Flag, key.Variable, defaultValue, key.Usage)
	}
	table.WriteString("\n")
	compareTable(t, "../../docs/configuration.md", table.String())
}
