package fuzz

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"rosey.dev/rosey/test/chaos"
)

const (
	// moreGoroutines is how many goroutines more than before a process may have afterwards: those of connections and
	// timers that come and go.
	moreGoroutines = 15
	// moreHeap is how much larger the heap of a process may be afterwards, for caches. The Go runtime collects the garbage
	// of an idle process every two minutes, so the heap is compared after a long run only.
	moreHeap = 24 << 20
	// longRun is how long such a run is.
	longRun = time.Minute
)

// Usage is what a process uses.
type Usage struct {
	// Own is its memory without files, in bytes, and Peak the most memory that it has had, with files.
	Own, Peak int64
	// Heap is its Go heap in bytes, with what the garbage collector has not removed yet.
	Heap       int64
	Goroutines int64
}

// Measure reads what each process uses.
func Measure(ctx context.Context, processes []chaos.Process) (map[string]Usage, error) {
	all := map[string]Usage{}
	for _, process := range processes {
		now, err := memoryOf(process.PID)
		if err != nil {
			return nil, err
		}
		metrics, err := get(ctx, "http://"+process.HTTP+"/metrics")
		if err != nil {
			return nil, err
		}
		var heapErr error
		now.Heap, heapErr = number(metrics, "go_memstats_heap_alloc_bytes ")
		if now.Goroutines, err = number(metrics, "go_goroutines "); err != nil || heapErr != nil {
			return nil, errors.Join(err, heapErr)
		}
		all[process.Name] = now
	}
	return all, nil
}

// Returned returns an error if a process that is idle uses more than it did before a run of the given duration.
func (u Usage) Returned(name string, before Usage, duration time.Duration) error {
	if duration >= longRun && u.Heap > before.Heap+moreHeap {
		return fmt.Errorf("the heap of %s has %d MiB, %d MiB before", name, u.Heap>>20, before.Heap>>20)
	}
	if u.Goroutines > before.Goroutines+moreGoroutines {
		return fmt.Errorf("%s has %d goroutines, %d before", name, u.Goroutines, before.Goroutines)
	}
	return nil
}

func memoryOf(pid int) (now Usage, err error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return now, fmt.Errorf("reading the memory of a process: %w", err)
	}
	own, ownErr := number(string(content), "RssAnon:")
	peak, peakErr := number(string(content), "VmHWM:")
	return Usage{Own: own << 10, Peak: peak << 10}, errors.Join(ownErr, peakErr)
}

// number returns the number after a name at the start of a line.
func number(content, name string) (int64, error) {
	for line := range strings.Lines(content) {
		if text, found := strings.CutPrefix(line, name); found {
			value, err := strconv.ParseFloat(strings.Fields(text)[0], 64)
			if err != nil {
				return 0, fmt.Errorf("reading %s: %w", name, err)
			}
			return int64(value), nil
		}
	}
	return 0, fmt.Errorf("there is no %q", name)
}

func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", fmt.Errorf("requesting %s: %w", url, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("requesting %s: %w", url, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", url, err)
	}
	return string(body), nil
}
