package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

const (
	// newPodsEvery is how often logs -f looks for pods and containers that have been started meanwhile, and for logs that
	// were cut off.
	newPodsEvery = 2 * time.Second
	// maxLogLine bounds a line, in bytes. The rest of a longer one is left out.
	maxLogLine = 64 << 10
)

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

// logReader reads the logs of all containers of a RoseyBot at the same time.
type logReader struct {
	cluster  *cluster
	bot      string
	options  logOptions
	arrivals chan arrival

	// say shows a problem while logs are followed.
	say func(problem error)

	mu sync.Mutex
	// names are those of the sources, POD/CONTAINER.
	names []string
	// known are the containers that are read or have been, by their IDs.
	known map[string]*readLog
	// problems are why logs could not be read. While logs are followed they are those that have not been shown yet.
	problems []error
	reading  sync.WaitGroup
}

// readLog is what is known of the log of a container.
type readLog struct {
	number int
	// options are those of the first request.
	options logOptions
	reading bool
	// last is the time of the last line, and zero before the first.
	last time.Time
	// err is the error with which the last request has ended. Nil: the log has ended.
	err error
	// said reports whether an error has been shown since the last line.
	said bool
}

func newLogReader(cluster *cluster, bot string, options logOptions) *logReader {
	return &logReader{
		cluster: cluster, bot: bot, options: options, arrivals: make(chan arrival), known: map[string]*readLog{},
	}
}

func (r *logReader) name(source int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.names[source]
}

// run reads until all logs have ended, or ctx has; then it closes arrivals. While it follows, it shows what fails and
// goes on, unless a right is missing.
func (r *logReader) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer close(r.arrivals)
	defer r.reading.Wait()
	defer stop()
	err := r.readNew(ctx, r.options)
	if err != nil || !r.options.follow {
		r.reading.Wait()
		return errors.Join(append(r.problems, err)...)
	}
	tick := time.NewTicker(r.options.every)
	defer tick.Stop()
	// What has been started meanwhile is shown from its beginning.
	later := logOptions{follow: true, tail: -1, component: r.options.component}
	for away := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		problems := r.takeProblems()
		err := r.readNew(ctx, later)
		if err != nil && (!away || lacksRight(err)) { // an API server that is away for a moment is no end
			problems = append(problems, err)
		}
		away = err != nil
		for _, problem := range problems {
			if lacksRight(problem) {
				return problem
			}
			if ctx.Err() == nil {
				r.say(problem)
			}
		}
	}
}

// takeProblems returns the problems that have not been shown yet.
func (r *logReader) takeProblems() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	problems := r.problems
	r.problems = nil
	return problems
}

func lacksRight(err error) bool {
	_, lacks := errors.AsType[*rightsMissing](err)
	return lacks
}

// logSource is the log of a container that is to be read.
type logSource struct {
	number  int
	next    chan struct{}
	request *rest.Request
	log     *readLog
	// after is the time of the last line that was read before, and zero for none.
	after time.Time
}

// readNew begins to read the containers that are not known yet, and goes on with those whose logs were cut off.
func (r *logReader) readNew(ctx context.Context, options logOptions) error {
	pods, err := r.cluster.pods(ctx, r.bot)
	if err != nil {
		return err
	}
	found := false
	var sources []logSource
	for i := range pods {
		pod := &pods[i]
		if options.component != "" && string(componentOf(pod)) != options.component {
			continue
		}
		found = true
		for _, container := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			if source := r.newSource(pod, container, options); source != nil {
				sources = append(sources, *source)
			}
		}
	}
	if !found && !options.follow {
		return exit.Failedf("RoseyBot %s has no pods%s: suspended, or see kubectl rosey status %s", r.bot,
			map[bool]string{true: " of component " + options.component}[options.component != ""], r.bot)
	}
	for _, source := range sources {
		r.send(ctx, source.number, arrival{begin: source.next})
	}
	for _, source := range sources {
		r.reading.Go(func() { r.read(ctx, source) })
	}
	return nil
}

// newSource returns the log of a container that runs or has run, and nil if there is nothing to read that is not read
// already.
func (r *logReader) newSource(pod *corev1.Pod, container corev1.ContainerStatus, options logOptions) *logSource {
	r.mu.Lock()
	defer r.mu.Unlock()
	if container.ContainerID == "" {
		return nil
	}
	log := r.known[container.ContainerID]
	switch {
	case log == nil:
		log = &readLog{number: len(r.names), options: options}
		r.known[container.ContainerID] = log
		r.names = append(r.names, pod.Name+"/"+container.Name)
	case log.reading || container.State.Running == nil && !mayPass(log.err):
		return nil
	}
	log.reading = true
	query := podLogOptions(container.Name, log.options)
	if !log.last.IsZero() { // the log was cut off, such as by an API server that was restarted: nothing is lost
		query.SinceTime, query.TailLines = new(metav1.NewTime(log.last)), nil
	}
	return &logSource{
		number: log.number, next: make(chan struct{}, 1), log: log, after: log.last,
		request: r.cluster.kube.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, query),
	}
}

// send sends something to the merge, and reports whether it has taken it.
func (r *logReader) send(ctx context.Context, source int, next arrival) bool {
	next.line.source = source
	select {
	case <-ctx.Done():
		return false
	case r.arrivals <- next:
		return true
	}
}

// read reads a log to its end.
func (r *logReader) read(ctx context.Context, source logSource) {
	defer r.send(ctx, source.number, arrival{ended: true})
	last := source.after
	stream, err := source.request.Stream(ctx)
	if err == nil {
		defer func() { _ = stream.Close() }() // it was only read
		last, err = r.readLines(ctx, source, stream)
	}
	problem := err
	if err != nil && ctx.Err() == nil {
		problem = r.cluster.explain(ctx, fmt.Errorf("reading the log of %s: %w", r.name(source.number), err), readLogs)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	log := source.log
	log.said = log.said && last.Equal(log.last)
	log.reading, log.last, log.err = false, last, err
	if problem != nil && ctx.Err() == nil && !log.said {
		log.said = true
		r.problems = append(r.problems, problem)
	}
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

// readLines sends the lines of a log to the merge, each when it asks for it, and returns the time of the last one.
func (r *logReader) readLines(ctx context.Context, source logSource, log io.Reader) (last time.Time, err error) {
	lines := bufio.NewReaderSize(log, maxLogLine)
	for last = source.after; ; {
		text, err := readLine(lines)
		if errors.Is(err, io.EOF) && text == "" {
			return last, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return last, err
		}
		line := parseLogLine(text, last)
		if isAgain(text, source.after) { // the API server takes whole seconds, so some lines come again
			continue
		}
		if !r.send(ctx, source.number, arrival{line: line}) {
			return last, nil
		}
		if err == nil { // half a line comes again, as a whole
			last = line.at
		}
		select {
		case <-ctx.Done():
			return last, nil
		case <-source.next:
		}
	}
}

// isAgain reports whether a line was read before the log was cut off after a line of a time.
func isAgain(text string, after time.Time) bool {
	line := parseLogLine(text, time.Time{})
	return !after.IsZero() && !line.at.After(after)
}

// readLine returns the next line without its end, and the beginning alone of one that is longer than maxLogLine.
func readLine(from *bufio.Reader) (string, error) {
	text, err := from.ReadSlice('\n')
	line := string(bytes.TrimRight(text, "\r\n"))
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = from.ReadSlice('\n')
	}
	return line, err //nolint:wrapcheck // the caller says which log
}

// parseLogLine separates the time from a line. A line without one has that of the line before.
func parseLogLine(text string, last time.Time) logLine {
	stamp, rest, _ := strings.Cut(text, " ")
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		return logLine{at: last, text: text}
	}
	if at.Before(last) { // the order within a container is that of its log
		at = last
	}
	return logLine{at: at, text: rest}
}
