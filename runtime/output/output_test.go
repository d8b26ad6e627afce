package output

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// run runs a command with the flag, and returns the format that it gets.
func run(arguments ...string) (format Format, err error) {
	command := &cobra.Command{
		SilenceErrors: true, SilenceUsage: true, RunE: func(*cobra.Command, []string) error { return nil },
	}
	AddFlag(command, &format, JSON, YAML)
	command.SetArgs(arguments)
	err = command.Execute()
	return format, err
}

func TestFlag(t *testing.T) {
	t.Parallel()
	for arguments, want := range map[string]Format{"": Text, "-o text": Text, "-o json": JSON, "--output=yaml": YAML} {
		if format, err := run(strings.Fields(arguments)...); err != nil || format != want {
			t.Errorf("%q: %q, %v", arguments, format, err)
		}
	}
	for _, wrong := range []string{"wide", "xml", "", "JSON"} {
		_, err := run("--output=" + wrong)
		if want := `--output: "` + wrong + `", expected text, json or yaml`; err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", wrong, err, want)
		}
	}
}

// failing is a writer that is closed.
type failing struct{}

var errClosed = errors.New("closed")

func (failing) Write([]byte) (int, error) { return 0, errClosed }

func TestWrite(t *testing.T) {
	t.Parallel()
	content := map[string]string{"a": "<b> \x1b[31m"}
	for format, want := range map[Format]string{
		JSON: "{\n  \"a\": \"<b> \\u001b[31m\"\n}\n", YAML: "a: \"<b> \\e[31m\"\n",
	} {
		var text bytes.Buffer
		if err := Write(&text, format, content); err != nil || text.String() != want {
			t.Errorf("%s: %q, %v, want %q", format, &text, err, want)
		}
		if err := Write(failing{}, format, content); !errors.Is(err, errClosed) {
			t.Errorf("%s to a closed file: %v", format, err)
		}
	}
	if err := Write(&bytes.Buffer{}, JSON, func() {}); err == nil {
		t.Error("a function has a document")
	}
}
