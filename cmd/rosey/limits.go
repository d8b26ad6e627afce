package main

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// memoryPart is the part of a container's memory limit, in percent, that the Go runtime may use. The rest is for what
// it does not count: the kernel's buffers and the files that the kernel keeps in memory.
const memoryPart = 80

// limitMemory tells the Go runtime the limit of the container, unless the variable GOMEMLIMIT has another. Without it,
// the heap grows to twice what is in use before it is collected, and a burst of large messages ends the process
// although most of its memory is garbage.
func limitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		if limit := containerLimit("/"); limit < math.MaxInt64 {
			debug.SetMemoryLimit(limit / 100 * memoryPart)
		}
	}
}

// limitProcessors lets the goroutines of `rosey bot` run one after another, unless the variable GOMAXPROCS says
// otherwise. A line of chat passes through several, each for some microseconds. With a second processor the runtime
// wakes a thread for each of them, which takes more processor time than they do.
func limitProcessors(arguments []string) {
	if len(arguments) > 0 && arguments[0] == botCommand && os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
}

// unlimitProcessors ends what limitProcessors has done, for a bot that is its own database service: SQLite keeps a
// processor while it waits for the disk.
func unlimitProcessors() {
	if os.Getenv("GOMAXPROCS") == "" { // SetDefaultGOMAXPROCS ignores the variable
		runtime.SetDefaultGOMAXPROCS()
	}
}

const (
	// manyMessages is the size of a batch that arrives only while others are stored.
	manyMessages = 50
	// calmAfter is the time without such a batch after which a database service is calm.
	calmAfter = 10 * time.Second
)

// serviceProcessors lets the goroutines of `rosey db` run one after another while little happens, for the reason of
// limitProcessors: and for one that has the only processor, the Go runtime does not look after it every 20 µs while it
// waits for the disk. While many messages come, some are received and decoded while others are stored. What takes long
// beside them, such as a search, must not keep them waiting: on one processor each switch to them may take 10 ms.
type serviceProcessors struct {
	limit, unlimit func()
	busy           bool
	busyAt         time.Time // the last batch of many messages, or beside something that takes long
}

func newServiceProcessors() *serviceProcessors {
	if os.Getenv("GOMAXPROCS") != "" {
		return &serviceProcessors{limit: func() {}, unlimit: func() {}}
	}
	p := &serviceProcessors{limit: func() { runtime.GOMAXPROCS(1) }, unlimit: unlimitProcessors}
	p.limit()
	return p
}

// handling is database.ServiceOptions.Handling.
func (p *serviceProcessors) handling(messages int, beside bool) {
	much := messages >= manyMessages || beside
	if !much && !p.busy {
		return
	}
	now := time.Now()
	switch {
	case much:
		p.busyAt = now
		if !p.busy {
			p.busy = true
			p.unlimit()
		}
	case now.Sub(p.busyAt) >= calmAfter:
		p.busy = false
		p.limit()
	}
}

// containerLimit returns the memory limit of the process's control group, in bytes, and math.MaxInt64 if there is none.
// A container sees its own group at the top; outside a container it is below.
func containerLimit(root string) int64 {
	groups, _ := os.ReadFile(filepath.Join(root, "proc/self/cgroup")) // absent on other systems than Linux
	limit := int64(math.MaxInt64)
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // number:controllers:path, version 2 has no controllers
		if len(parts) != 3 {
			continue
		}
		top, file := "sys/fs/cgroup", "memory.max"
		if parts[1] == "memory" {
			top, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		} else if parts[1] != "" {
			continue
		}
		for _, group := range []string{"", parts[2]} {
			content, err := os.ReadFile(filepath.Join(root, top, group, file))
			if err != nil {
				continue
			}
			if found, err := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64); err == nil && found > 0 {
				limit = min(limit, found)
			}
		}
	}
	if limit > 1<<50 { // what version 1 says for none
		return math.MaxInt64
	}
	return limit
}
