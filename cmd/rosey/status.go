package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/output"
	"rosey.dev/rosey/runtime/status"
)

// statusTimeout is far more than a process takes to answer.
const statusTimeout = 5 * time.Second

func newStatusCommand() *cobra.Command {
	var urls []string
	var format output.Format
	command := &cobra.Command{
		Use:   "status",
		Short: "Show the status of running processes: whether they are ready, and if not, why",
		Long: "Show the status of running processes, read over HTTP: whether they are ready, and if not, why.\n" +
			"The exit code is 0 if all of them are ready.",
		Example: "  rosey status\n  rosey status --http 127.0.0.1:8080 --http 127.0.0.1:8081 --output json",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			var problems []error
			for _, text := range urls {
				address, err := statusURL(text)
				if err != nil {
					return err
				}
				problems = append(problems, showStatus(command.Context(), address, format, command.OutOrStdout()))
			}
			return exit.Failed(errors.Join(problems...))
		},
	}
	command.Flags().StringArrayVar(&urls, "http", []string{"http://" + config.DefaultRunHTTPAddress},
		"`URL` or host:port of a bot, a database service or rosey run; can be repeated")
	addOutputFlag(command, &format)
	return command
}

func statusURL(text string) (string, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") {
		return "", errors.New("--http: expected http(s)://host:port or host:port")
	}
	return parsed.JoinPath(status.StatusPath).String(), nil
}

func showStatus(ctx context.Context, address string, format output.Format, out io.Writer) error {
	client := status.NewClient(http.ProxyFromEnvironment)
	client.Timeout = statusTimeout
	report, err := status.FetchReport(ctx, client, address, "")
	if err != nil {
		return fmt.Errorf("requesting %s: %w", address, err)
	}
	if err := writeOutput(out, format, report, statusText(report)); err != nil {
		return err
	}
	if !report.Ready {
		return fmt.Errorf("%s at %s is not ready: %s", report.Component, address, report.Reason)
	}
	return nil
}

func statusText(report status.Report) string {
	var text bytes.Buffer
	state := "ready"
	if !report.Ready {
		state = "not ready: " + string(report.Reason)
	}
	fmt.Fprintf(&text, "%s %s, %s, running since %s UTC\n", report.Component, status.Printable(report.Version), state,
		formatMillis(toMillis(report.Started)))
	columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, check := range report.Checks {
		mark := "ok"
		if !check.OK {
			mark = "FAILED"
		}
		_, _ = fmt.Fprintf(columns, "  %s\t%s\t%s\tsince %s\t%s\n", mark, check.Name, check.Reason,
			formatMillis(toMillis(check.Since)), status.Printable(check.Message)) // writing to memory cannot fail
	}
	_ = columns.Flush()
	for _, channel := range report.Channels {
		fmt.Fprintf(&text, "  serves %s\n", status.Printable(channel))
	}
	for _, channel := range slices.Sorted(maps.Keys(report.RefusedChannels)) {
		fmt.Fprintf(&text, "  REFUSES %s: %s\n", status.Printable(channel), status.Printable(report.RefusedChannels[channel]))
	}
	return text.String()
}
