// Command cytube runs the CyTube simulator: a server that behaves like the real one for a bot, with simulated people
// who use it. It needs no privileges, writes no files and keeps everything in memory.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// shutdownGrace bounds the time that requests may take to finish after a signal.
const shutdownGrace = 5 * time.Second

func main() { os.Exit(mainCode()) }

// mainCode returns the exit code, so that deferred calls run before the program ends.
func mainCode() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "cytube:", err)
		return 1
	}
	return 0
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, logs io.Writer) error {
	settings, err := parseFlags(args, logs)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(logs, nil))
	settings.options.Logger = logger
	sim, err := simulator.New(settings.options)
	if err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	defer sim.Close()
	if settings.script {
		if err := sim.Channel(settings.channel).StartScript(settings.evening); err != nil {
			return fmt.Errorf("starting: %w", err)
		}
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", settings.listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", settings.listen, err)
	}
	logger.InfoContext(ctx, "listening", slog.String("url", "http://"+listener.Addr().String()),
		slog.Int("accounts", len(settings.options.Accounts)))
	return serve(ctx, listener, sim)
}

// serve serves requests until ctx ends, then waits for those in progress.
func serve(ctx context.Context, listener net.Listener, sim *simulator.Server) error {
	web := &http.Server{Handler: sim.Handler(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	// Close the sockets first: the HTTP server does not wait for hijacked connections.
	sim.Close()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if err := web.Shutdown(grace); err != nil {
		return fmt.Errorf("shutting down: %w", err)
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}
