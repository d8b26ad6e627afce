// Command bench measures the built program from outside, as processes beside a CyTube simulator and a NATS server, and
// prints one table. `make bench` runs it; docs/performance.md has what it measured, on which machine.
//
// A case is a function that measures and reports figures; a file of its own registers it in cases.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

// benchCase is something to measure.
type benchCase struct {
	name  string
	about string
	run   func(ctx context.Context, b *bench) error
}

// cases are in the order in which they are run and shown.
var cases = []benchCase{
	{"idle", "a process in a quiet channel, and how fast it gets there", measureIdle},
	{"chat", "what a line of chat costs, over NATS and in mode direct", measureChat},
}

func main() {
	only := flag.String("run", ".", "run the cases whose name matches this `expression`")
	keep := flag.Bool("v", false, "show what the measured processes log")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *only, *keep)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, verbose bool) (err error) {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	b, err := newBench(ctx, verbose)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for _, c := range cases {
		if !wanted.MatchString(c.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: %s: %s\n", c.name, c.about)
		b.current = c.name
		if err := c.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	b.table.write(os.Stdout)
	return nil
}
