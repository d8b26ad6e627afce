package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// newPodsEvery is how often logs -f looks for pods and containers that have been started meanwhile, and for logs that
// were cut off.
const newPodsEvery = 2 * time.Second

// logOptions are the flags of logs.
type logOptions struct {
	follow    bool
	since     time.Duration
	tail      int64
	component string
	// every is how often logs -f looks again.
	every time.Duration
}

func newLogsCommand(app *app) *cobra.Command {
	options := logOptions{every: newPodsEvery}
	command := &cobra.Command{
		Use:   "logs NAME",
		Short: "Show the logs of all components and containers, merged by time",
		Long: "Show the logs of all components and containers of a RoseyBot, merged by the time at which the node\n" +
			"received each line. With --follow, containers and pods that are started later are followed too.",
		Example: "  kubectl rosey logs movienight --since 10m\n  kubectl rosey logs movienight -f --tail 20 --component bot",
		Args:    exactName, ValidArgsFunction: app.completeNames,
		RunE: func(command *cobra.Command, arguments []string) error {
			if options.since < 0 || options.tail < -1 {
				return errors.New("--since, --tail: expected no negative values, but for --tail -1, all lines")
			}
			cluster, _, err := app.connectTo(command.Context(), arguments[0])
			if err != nil {
				return err
			}
			return app.showLogs(command.Context(), cluster, arguments[0], options)
		},
	}
	flags := command.Flags()
	flags.BoolVarP(&options.follow, "follow", "f", false, "Go on with new lines, until Ctrl-C")
	flags.DurationVar(&options.since, "since", 0, "Only lines that are not older than this, such as 10m (default all)")
	flags.Int64Var(&options.tail, "tail", -1, "Only so many of the last lines of each container; -1 is all")
	flags.StringVar(&options.component, "component", "", "Only of this component, such as bot, database or web")
	return command
}

// showLogs writes the logs of a RoseyBot.
func (a *app) showLogs(ctx context.Context, cluster *cluster, bot string, options logOptions) error {
	reader := newLogReader(cluster, bot, options)
	reader.say = func(problem error) {
		_, _ = fmt.Fprintln(a.err, "kubectl rosey:", problem) // there is nowhere else to say it
	}
	out := bufio.NewWriter(a.out)
	merge := newMerger(options.follow, func(line logLine) error {
		_, err := fmt.Fprintf(out, "%s %s\n", reader.name(line.source), status.Printable(line.text))
		if err == nil && options.follow {
			err = out.Flush()
		}
		return exit.Failed(err)
	})
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- reader.run(ctx) }()
	err := merge.run(ctx, reader.arrivals)
	interrupted := err != nil && ctx.Err() != nil
	stop()
	readErr := <-ended
	if interrupted { // Ctrl-C is how it ends
		err, readErr = nil, nil
	}
	return errors.Join(err, readErr, exit.Failed(out.Flush()))
}

func podLogOptions(container string, options logOptions) *corev1.PodLogOptions {
	query := &corev1.PodLogOptions{Container: container, Follow: options.follow, Timestamps: true}
	if options.since > 0 {
		query.SinceTime = new(metav1.NewTime(time.Now().Add(-options.since)))
	}
	if options.tail >= 0 {
		query.TailLines = &options.tail
	}
	return query
}
