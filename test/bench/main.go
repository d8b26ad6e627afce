// Command bench measures the built program, as separate processes with a CyTube simulator and a NATS server, and prints
// a table for each case. `make bench` runs it; docs/performance.md has the results and the machine.
//
// A case is a function that measures and reports figures. Each has its own file and is listed in cases.
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

// benchCase is a measurement.
type benchCase struct {
	name  string
	about string
	run   func(ctx context.Context, b *bench) error
}

// cases are in the order in which they run and appear in the table.
var cases = []benchCase{
	{"idle", "a process in a quiet channel, and the time until it has joined", measureIdle},
	{"rows", "lines of chat from publishing to commit, compared with a raw insert", measureRows},
	{"services", "one, two and four services on one PostgreSQL server", measureServices},
	{"requests", "round trips of requests, compared with those of an echo", measureRequests},
	{"queries", "the queries of the web page with 100,000 lines", measureQueries},
	{"page", "the web page with 100,000 lines of 5,000 people: each page, what is live, what it costs", measurePage},
	{"line", "a line from the socket to the committed row, beside a bare publish and commit", measureLine},
	{"said", "a line of the outbound queue until it is in the channel, and an answer by private message", measureSaid},
	{"plugin", "commands of plugins beside the bot's, and the bot's while a plugin floods and hangs", measurePlugin},
	{"evening", "the CPU time and memory of a channel with a line a second", measureEvening},
	{"chat", "the CPU time of a line of chat, over NATS and in direct mode", measureChat},
	{"traces", "the CPU time of a line of chat without traces, and with those of one of a hundred", measureTraces},
}

func main() {
	only := flag.String("run", ".", "run the cases whose name matches this `expression`")
	keep := flag.Bool("v", false, "show the logs of the measured processes")
	program := flag.String("program", "", "measure this `file`, built before, instead of building the program")
	echo := flag.String("echo", "", "instead of measuring, reply to requests on the NATS server `URL`")
	flooded := flag.String("flood", "", "instead of measuring, be a plugin that floods, on the NATS server `URL`")
	site := flag.String("site", "", "with -flood: the `URL` of the CyTube server")
	var bare bareOptions
	flag.StringVar(&bare.url, "bare", "", "instead of measuring, insert a row for each line on the NATS server `URL`")
	flag.BoolVar(&bare.durable, "durable", false, "with -bare: the lines are in a stream")
	flag.StringVar(&bare.sqlite, sqliteFlag, "", "with -bare: the SQLite `file`")
	flag.StringVar(&bare.postgres, postgresFlag, "", "with -bare: the `file` with the URL of a PostgreSQL database")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	switch {
	case *echo != "":
		err = serveEcho(ctx, *echo)
	case *flooded != "":
		err = serveFlood(ctx, *flooded, *site)
	case bare.url != "":
		err = serveBare(ctx, bare)
	default:
		err = run(ctx, *only, *program, *keep)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only, program string, verbose bool) (err error) {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	began := time.Now()
	b, err := newBench(ctx, fullSizes, verbose, program, releaseFlags...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for _, c := range cases {
		if !wanted.MatchString(c.name) {
			continue
		}
		if err := b.measure(ctx, c); err != nil {
			return err
		}
	}
	b.table.write(os.Stdout)
	fmt.Printf("\nIn %v, on %d processors, %s, load at the end %s.\n", time.Since(began).Round(time.Second),
		runtime.NumCPU(), runtime.Version(), load())
	return nil
}

func (b *bench) measure(ctx context.Context, c benchCase) error {
	b.say("%s: %s", c.name, c.about)
	b.current = c.name
	if err := c.run(ctx, b); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return nil
}

// load returns the load averages of the last 1, 5 and 15 minutes.
func load() string {
	content, err := os.ReadFile("/proc/loadavg")
	if fields := strings.Fields(string(content)); err == nil && len(fields) > 3 {
		return strings.Join(fields[:3], ", ")
	}
	return "unknown"
}
