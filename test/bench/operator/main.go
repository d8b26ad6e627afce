// Command operator measures the operator with many RoseyBots on a local control plane with simulated nodes, and prints
// one table. `make bench-operator` runs it; docs/performance.md has the results and the machine.
//
// Only the kubelets are simulated. etcd, API server, controllers and scheduler are real, and the chart installs the
// operator in a container on a real node.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	count := flag.Int("bots", 1000, "`number` of RoseyBots")
	rest := flag.Duration("rest", 2*time.Minute, "how `long` to count requests while nothing changes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *count, *rest)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, count int, rest time.Duration) error {
	c, err := startCluster(ctx)
	if err != nil {
		return err
	}
	defer c.down(ctx)
	b := &bench{cluster: c, count: count}
	for _, step := range []struct {
		about string
		do    func(context.Context) error
	}{
		{"a plain client creates the objects", b.measurePlain},
		{"the operator creates them", b.measureCreation},
		{fmt.Sprintf("nothing changes for %s", rest), func(ctx context.Context) error { return b.measureRest(ctx, rest) }},
		{"a new operator starts and has nothing to change", b.measureStart},
	} {
		fmt.Fprintln(os.Stderr, "bench:", step.about)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.about, err)
		}
	}
	fmt.Printf("| %d RoseyBots | value |\n|---|---|\n", count)
	for _, row := range b.rows {
		fmt.Printf("| %s | %s |\n", row[0], row[1])
	}
	return nil
}
