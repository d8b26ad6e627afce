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
	"runtime"
	"strings"
	"syscall"
	"time"
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
	{"rows", "lines of chat from being published to being committed, beside a raw insert", measureRows},
	{"services", "one, two and four services on one PostgreSQL", measureServices},
	{"requests", "round trips of requests, beside those of an echo", measureRequests},
	{"single", "single events from being published to being visible", measureSingle},
	{"chat", "what a line of chat costs, over NATS and in mode direct", measureChat},
}

func main() {
	only := flag.String("run", ".", "run the cases whose name matches this `expression`")
	keep := flag.Bool("v", false, "show what the measured processes log")
	echo := flag.String("echo", "", "instead of measuring, answer requests on the NATS server `URL`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if *echo != "" {
		err = answer(ctx, *echo)
	} else {
		err = run(ctx, *only, *keep)
	}
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
	began := time.Now()
	b, err := newBench(ctx, verbose)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for _, c := range cases {
		if !wanted.MatchString(c.name) {
			continue
		}
		b.say("%s: %s", c.name, c.about)
		b.current = c.name
		if err := c.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	b.table.write(os.Stdout)
	fmt.Printf("\nIn %v, on %d processors, %s, load at the end %s.\n", time.Since(began).Round(time.Second),
		runtime.NumCPU(), runtime.Version(), load())
	return nil
}

// load is how many processes wanted a processor in the last 1, 5 and 15 minutes.
func load() string {
	content, err := os.ReadFile("/proc/loadavg")
	if fields := strings.Fields(string(content)); err == nil && len(fields) > 3 {
		return strings.Join(fields[:3], ", ")
	}
	return "unknown"
}
