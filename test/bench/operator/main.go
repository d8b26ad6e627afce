// Command operator measures the operator, and prints one table for each part. `make bench-operator` runs it;
// docs/performance.md has the results and the machine. The parts are:
//
//   - scale: many RoseyBots on a local control plane with simulated nodes. Only the kubelets are simulated. etcd, API
//     server, controllers and scheduler are real, and the chart installs the operator in a container on a real node.
//   - growth: what a RoseyBot costs the operator while their number grows, and what the operator does at rest. etcd,
//     API server, the controllers of Kubernetes and the operator's program are real, and this program acts as scheduler
//     and kubelet.
//   - ill: the same with RoseyBots that are ill in ten ways.
//   - hostile: the RoseyBots of users beside a namespace whose pods hang, lie or flood. etcd, API server and the
//     operator's program are real. This program acts as kubelet, and answers for the processes of all pods.
//   - memory: the operator beside objects of nearly the largest size that the API server accepts.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/go-logr/logr"
)

type options struct {
	count, hostile, large int
	rest                  time.Duration
	profiles              string // directory
}

// part is a measurement with a table of its own.
type part struct {
	name, about string
	measure     func(context.Context, options) (table, error)
}

var parts = []part{
	{"scale", "many RoseyBots on simulated nodes", measureScale},
	{"growth", "more and more RoseyBots", measureGrowth},
	{"ill", "many RoseyBots that are ill in ten ways", measureIll},
	{"hostile", "RoseyBots beside a namespace with hostile pods", measureHostile},
	{"memory", "the operator's memory beside large objects", measureMemory},
}

func main() {
	var wanted options
	only := flag.String("run", ".", "run the parts that match an `expression`: scale, growth, ill, hostile, memory")
	flag.IntVar(&wanted.count, "bots", 1000, "scale, growth, ill: `number` of RoseyBots")
	flag.DurationVar(&wanted.rest, "rest", time.Minute, "scale, growth, ill: how `long` to count requests at rest")
	flag.StringVar(&wanted.profiles, "profiles", "", "growth, ill: `directory` for profiles of the operator")
	flag.IntVar(&wanted.hostile, "hostile", 100, "hostile: `number` of RoseyBots with hostile pods")
	flag.IntVar(&wanted.large, "large", 30, "memory: `number` of large Deployments, and of large RoseyBots")
	flag.Parse()
	ctrl.SetLogger(logr.Discard()) // the client library logs a warning otherwise
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *only, wanted)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, options options) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	for _, part := range parts {
		if !wanted.MatchString(part.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: %s: %s\n", part.name, part.about)
		table, err := part.measure(ctx, options)
		table.write(os.Stdout) // also what was measured before a failure
		if err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// step is a part of a measurement. It depends on the state that the steps before it have left.
type step struct {
	about string
	do    func(context.Context) error
}

func doSteps(ctx context.Context, steps []step) error {
	for _, step := range steps {
		fmt.Fprintln(os.Stderr, "bench:", step.about)
		began := time.Now()
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.about, err)
		}
		fmt.Fprintf(os.Stderr, "bench: it took %.0f s\n", time.Since(began).Seconds())
	}
	return nil
}
