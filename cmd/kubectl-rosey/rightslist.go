package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/output"
)

func newRightsCommand(app *app) *cobra.Command {
	var format output.Format
	command := &cobra.Command{
		Use:   "rights",
		Short: "Show which of these commands you may use in the namespace, and which rights are missing",
		Example: "  kubectl rosey rights -n films\n" +
			"  kubectl rosey rights --as alice -o json",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			cluster, err := app.connect()
			if err != nil {
				return err
			}
			list, err := cluster.usableVerbs(command.Context(), app)
			if err != nil {
				return exit.Failed(err)
			}
			if format.IsDocument() {
				return app.writeDocument(format, list)
			}
			return writeUsable(app, list)
		},
	}
	output.AddFlag(command, &format, output.JSON, output.YAML)
	return command
}

// usableVerb is a command, and what keeps the user from using it.
type usableVerb struct {
	Command string `json:"command"`
	// Missing are the rights without which the command fails, and MissingParts those without which it does a part alone.
	Missing      []string `json:"missing"`
	MissingParts []string `json:"missingParts"`
}

// usableVerbs asks the API server once for each right.
func (c *cluster) usableVerbs(ctx context.Context, app *app) (list []usableVerb, err error) {
	denied := map[right]bool{}
	lacking := func(rights []right) ([]string, error) {
		names := []string{}
		for _, one := range rights {
			if _, known := denied[one]; !known {
				missing, err := c.missing(ctx, c.namespace, []right{one})
				if err != nil {
					return nil, err
				}
				denied[one] = len(missing) > 0
			}
			if denied[one] {
				names = append(names, one.String())
			}
		}
		return names, nil
	}
	for _, verb := range verbs() {
		usable := usableVerb{Command: verb.make(app).Name()}
		if usable.Missing, err = lacking(verb.rights); err != nil {
			return nil, err
		}
		if usable.MissingParts, err = lacking(verb.more); err != nil {
			return nil, err
		}
		list = append(list, usable)
	}
	return list, nil
}

func writeUsable(app *app, list []usableVerb) error {
	text := page{colors: app.colors}
	rows := [][]string{{"COMMAND", "USABLE", "MISSING"}}
	colors := []string{""}
	for _, verb := range list {
		usable, color := "yes", green
		switch {
		case len(verb.Missing) > 0:
			usable, color = "no", red
		case len(verb.MissingParts) > 0:
			usable, color = "in part", yellow
		}
		missing := strings.Join(slices.Concat(verb.Missing, verb.MissingParts), ", ")
		rows, colors = append(rows, []string{verb.Command, usable, orDash(missing)}), append(colors, color)
	}
	text.table("", rows, func(row, column int) string {
		if column == 1 {
			return colors[row]
		}
		return ""
	})
	return text.writeTo(app)
}
