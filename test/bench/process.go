package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stepTimeout is far longer than any step takes.
const stepTimeout = 2 * time.Minute

// process is a running program.
type process struct {
	command *exec.Cmd
	http    string
	logged  chan struct{}
}

// start starts the program and waits until it serves HTTP.
func (b *bench) start(ctx context.Context, arguments ...string) (*process, error) {
	command := exec.CommandContext(ctx, b.program, arguments...) //nolint:gosec // built by the bench
	command.Env = append(os.Environ(), b.environment...)
	p := &process{command: command, logged: make(chan struct{})}
	stderr, err := p.command.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the program: %w", err)
	}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("starting the program: %w", err)
	}
	address := make(chan string, 1)
	go func() { // ends with the process
		defer close(p.logged)
		p.readLog(stderr, address, b.verbose)
	}()
	select {
	case p.http = <-address:
		return p, nil
	case <-p.logged:
		return nil, fmt.Errorf("rosey %s exited at once", arguments[0])
	case <-time.After(stepTimeout):
		return nil, errors.Join(errors.New("the program has not logged its HTTP address"), p.end())
	}
}

func (p *process) readLog(stderr io.Reader, address chan<- string, verbose bool) {
	for scanner := bufio.NewScanner(stderr); scanner.Scan(); {
		var line struct {
			HTTP string `json:"http"`
		}
		if json.Unmarshal(scanner.Bytes(), &line) == nil && line.HTTP != "" {
			address <- "http://" + line.HTTP
		}
		if verbose {
			fmt.Fprintln(os.Stderr, scanner.Text())
		}
	}
}

// end stops the process with SIGTERM, as the kubelet does.
func (p *process) end() error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping the program: %w", err)
	}
	<-p.logged
	if err := p.command.Wait(); err != nil {
		return fmt.Errorf("stopping the program: %w", err)
	}
	return nil
}

func (p *process) get(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.http+path, nil)
	if err != nil {
		return "", fmt.Errorf("asking %s: %w", path, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("asking %s: %w", path, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("asking %s: %w", path, err)
	}
	return string(body), nil
}

// metric returns the value of a series, named with its labels, or 0 if there is none.
func (p *process) metric(ctx context.Context, series string) (float64, error) {
	body, err := p.get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(body) {
		if text, found := strings.CutPrefix(line, series+" "); found {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				return 0, fmt.Errorf("metric %s: %w", series, err)
			}
			return value, nil
		}
	}
	return 0, nil
}

// until waits until a condition holds.
func until(ctx context.Context, what string, condition func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	for {
		ok, err := condition()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *process) untilReady(ctx context.Context) error {
	return until(ctx, "the program to be ready", func() (bool, error) {
		body, err := p.get(ctx, "/readyz")
		return strings.HasPrefix(body, "Ready"), err
	})
}

// cpu returns the user and system CPU time of the process.
func (p *process) cpu() (time.Duration, error) { return cpuOf(p.command.Process.Pid) }

// cpuOf returns the CPU time of a process: that of its threads, which Go does not end. /proc/PID/stat has the same in
// hundredths of a second only.
func cpuOf(pid int) (all time.Duration, err error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err == nil && len(threads) == 0 {
		err = os.ErrNotExist
	}
	for _, thread := range threads {
		content, readErr := os.ReadFile(thread)
		nanoseconds, _, _ := strings.Cut(string(content), " ")
		spent, parseErr := strconv.ParseInt(nanoseconds, 10, 64)
		all += time.Duration(spent)
		err = errors.Join(err, readErr, parseErr)
	}
	if err != nil {
		return 0, fmt.Errorf("reading the CPU time: %w", err)
	}
	return all, nil
}

// memory reads a figure of /proc/PID/status, in MiB.
func (p *process) memory(key string) (float64, error) { return memoryOf(p.command.Process.Pid, key) }

func memoryOf(pid int, key string) (float64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory usage: %w", err)
	}
	for line := range strings.Lines(string(content)) {
		if text, found := strings.CutPrefix(line, key+":"); found {
			kibi, err := strconv.Atoi(strings.Fields(text)[0])
			if err != nil {
				return 0, fmt.Errorf("reading the memory usage: %w", err)
			}
			return float64(kibi) / 1024, nil
		}
	}
	return 0, fmt.Errorf("reading the memory usage: no %s", key)
}
