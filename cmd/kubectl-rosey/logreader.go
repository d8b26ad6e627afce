package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"rosey.dev/rosey/runtime/exit"
)

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
	// known are the containers that are read or have been, by the UID of the pod and their names.
	known map[string]*readLog
	// problems are why logs could not be read. While logs are followed they are those that have not been shown yet.
	problems []error
	reading  sync.WaitGroup
}

// readLog is what is known of the log of a container, over all its restarts. One that is started again has the same log
// here, since the node may serve the log of the new one before the API server knows of it: what was read already is
// known by its time alone.
type readLog struct {
	number int
	// id is that of the container at the last request, and options are those of the first request for it.
	id      string
	options logOptions
	reading bool
	// read is how far the log has been read.
	read logPosition
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
	err := r.readNew(ctx, r.options, false)
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
		err := r.readNew(ctx, later, true)
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
	number int
	next   chan struct{}
	log    *readLog
	// requests are for the log of the container before a restart, if that has been missed, and for the present one.
	requests []*rest.Request
	read     logPosition
}

// readNew begins to read the containers that are not known yet, and goes on with those that were started again and
// those whose logs were cut off. sinceBefore says that it was called before: whatever is new has been missed so far.
func (r *logReader) readNew(ctx context.Context, options logOptions, sinceBefore bool) error {
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
			if source := r.newSource(pod, container, options, sinceBefore); source != nil {
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
func (r *logReader) newSource(
	pod *corev1.Pod, container corev1.ContainerStatus, options logOptions, sinceBefore bool,
) *logSource {
	r.mu.Lock()
	defer r.mu.Unlock()
	if container.ContainerID == "" {
		return nil
	}
	key := string(pod.UID) + "/" + container.Name
	log := r.known[key]
	if log == nil {
		log = &readLog{number: len(r.names)}
		r.known[key] = log
		r.names = append(r.names, pod.Name+"/"+container.Name)
	}
	isSame := log.id == container.ContainerID
	if log.reading || isSame && container.State.Running == nil && !mayPass(log.err) {
		return nil
	}
	source := &logSource{number: log.number, next: make(chan struct{}, 1), log: log, read: log.read}
	if sinceBefore && !isSame && log.misses(container) {
		source.requests = append(source.requests, r.request(pod, container.Name, log, true))
	}
	if !isSame {
		log.id, log.options = container.ContainerID, options
	}
	source.requests = append(source.requests, r.request(pod, container.Name, log, false))
	log.reading = true
	return source
}

// misses reports whether the container that was there before the present one has not been read to its end.
func (l *readLog) misses(present corev1.ContainerStatus) bool {
	before := present.LastTerminationState.Terminated
	if before == nil || before.ContainerID == present.ContainerID { // it waits for its next start
		return false
	}
	return before.ContainerID != l.id || l.err != nil
}

// request returns a request for what has not been read of a log.
func (r *logReader) request(pod *corev1.Pod, container string, log *readLog, previous bool) *rest.Request {
	query := podLogOptions(container, log.options)
	if !log.read.at.IsZero() {
		query.SinceTime, query.TailLines = new(metav1.NewTime(log.read.at)), nil
	}
	if previous {
		query.Previous, query.Follow = true, false
	}
	return r.cluster.kube.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, query)
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
	read, err := source.read, error(nil)
	var problems []error
	for _, request := range source.requests {
		if read, err = r.readOne(ctx, source, request, read); err != nil && ctx.Err() == nil {
			err := fmt.Errorf("reading the log of %s: %w", r.name(source.number), err)
			problems = append(problems, r.cluster.explain(ctx, err, readLogs))
		}
	}
	r.send(ctx, source.number, arrival{ended: true}) // before it can begin again
	r.mu.Lock()
	defer r.mu.Unlock()
	log := source.log
	log.said = log.said && read == log.read
	log.reading, log.read, log.err = false, read, err
	if len(problems) > 0 && ctx.Err() == nil && !log.said {
		log.said = true
		r.problems = append(r.problems, problems...)
	}
}

// readOne reads the answer to a request, and returns how far the log has been read.
func (r *logReader) readOne(
	ctx context.Context, source logSource, request *rest.Request, read logPosition,
) (logPosition, error) {
	stream, err := request.Stream(ctx)
	if err != nil {
		return read, err //nolint:wrapcheck // the caller says which log
	}
	defer func() { _ = stream.Close() }() // it was only read
	return r.readLines(ctx, source, stream, read)
}
