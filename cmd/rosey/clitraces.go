package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/telemetry"
)

// commandTracesTimeout bounds how long a command that is done waits for a receiver of traces: somebody waits for the
// prompt.
const commandTracesTimeout = time.Second

type commandTracesKey struct{}

// withCommandTraces returns a context in which a command can be traced, and a function that sends the spans of the
// command when it is done.
func withCommandTraces(ctx context.Context) (traced context.Context, send func()) {
	var traces *telemetry.Provider
	return context.WithValue(ctx, commandTracesKey{}, &traces), func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commandTracesTimeout)
		defer cancel()
		traces.Shutdown(ctx)
	}
}

// traceCommand begins to trace the requests of a command, if the configuration or a variable of OpenTelemetry names a
// receiver. An error means that the configuration is invalid.
func traceCommand(command *cobra.Command, c config.Telemetry) error {
	log := slog.New(slog.NewTextHandler(command.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	started, err := telemetry.Setup(telemetry.Options{
		Settings: telemetry.SettingsOf(c), Service: "rosey-" + string(status.CLIComponent), Version: buildVersion(),
		Instance: podName(), Log: log,
	})
	if err != nil {
		return err
	}
	if traces, ok := command.Context().Value(commandTracesKey{}).(**telemetry.Provider); ok {
		*traces = started
	}
	return nil
}
