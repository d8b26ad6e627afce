// Package output has the flag --output of the programs rosey and kubectl-rosey, and the formats for other programs.
//
// A command adds the flag with AddFlag. If the chosen format IsDocument, Write writes the result; every command writes
// text for people, wide or not, itself.
package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/runtime/status"
)

// Format is the value of --output.
type Format string

// The formats. Every command has Text, which is the default.
const (
	Text Format = "text"
	Wide Format = "wide" // text with more columns
	JSON Format = "json"
	YAML Format = "yaml"
)

// IsDocument reports whether Write writes the format.
func (f Format) IsDocument() bool { return f == JSON || f == YAML }

// AddFlag adds the flag --output with Text and other formats. Its value is checked before the command runs, by the
// command's PreRunE.
func AddFlag(command *cobra.Command, format *Format, others ...Format) {
	var names []string
	for _, known := range append([]Format{Text}, others...) {
		names = append(names, string(known))
	}
	last := len(names) - 1
	expected := strings.Join(names[:last], ", ") + " or " + names[last]
	command.Flags().StringVarP((*string)(format), "output", "o", string(Text), "Output format: "+expected)
	// It fails only for a flag that is not there.
	_ = command.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	command.PreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains(names, string(*format)) {
			return fmt.Errorf("--output: %q, expected %s", string(*format), expected)
		}
		return nil
	}
}

// Write writes content as a document in JSON or YAML, with printable characters alone.
func Write(out io.Writer, format Format, content any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(content); err != nil {
		return fmt.Errorf("encoding the output: %w", err)
	}
	document := status.EscapeJSON(text.Bytes())
	if format == YAML {
		var err error
		if document, err = yaml.JSONToYAML(document); err != nil {
			return fmt.Errorf("encoding the output: %w", err)
		}
	}
	if _, err := out.Write(document); err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}
