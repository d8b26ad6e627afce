package main

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func TestContainerLimit(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"no Linux": {nil, math.MaxInt64},
		"version 2 in a container": {
			map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "134217728\n"}, 128 << 20,
		},
		"version 2 on a machine": {
			map[string]string{"proc/self/cgroup": "0::/system/rosey\n", "sys/fs/cgroup/system/rosey/memory.max": "1000\n"}, 1000,
		},
		"version 2 without a limit": {
			map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, math.MaxInt64,
		},
		"version 1 in a container": {map[string]string{
			"proc/self/cgroup":                           "4:memory:/kubepods/x\n1:cpu:/y\n0::/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "134217728\n",
		}, 128 << 20},
		"version 1 without a limit": {map[string]string{
			"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, math.MaxInt64},
	} {
		root := t.TempDir()
		for file, content := range test.files {
			path := filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := containerLimit(root); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

// A service at rest must not wake a thread for each goroutine that a line passes through, and a flood must have all
// processors for as long as it lasts, and so must what is computed beside the messages.
func TestAServiceHasOneProcessorAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		processors := 1
		p := &serviceProcessors{limit: func() { processors = 1 }, unlimit: func() { processors = 4 }}
		for _, step := range []struct {
			after          time.Duration
			messages, want int
			beside         bool
		}{
			{0, 1, 1, false},
			{time.Second, manyMessages - 1, 1, false},
			{time.Second, manyMessages, 4, false},
			{calmAfter - time.Second, 1, 4, false},
			{0, 500, 4, false},
			{calmAfter - time.Second, 3, 4, false},
			{time.Second, 3, 1, false},
			{time.Hour, 1, 1, false},
			{0, 500, 4, false},
			{calmAfter, 1, 1, false},
			{0, 1, 4, true},
			{calmAfter - time.Second, 1, 4, false},
			{calmAfter, 1, 4, true},
			{calmAfter, 1, 1, false},
		} {
			time.Sleep(step.after)
			if p.handling(step.messages, step.beside); processors != step.want {
				t.Errorf("%d messages after %v: %d processors, expected %d", step.messages, step.after, processors, step.want)
			}
		}
	})
}

// What packages make when a program starts, every process keeps, whether it needs it or not: a pattern with {0,250}
// alone takes 200 KiB.
func TestPackagesMakeLittleAtTheStart(t *testing.T) {
	const most = 128 << 10
	start := program(t, "--help")
	start.Env = append(start.Env, "GODEBUG=inittrace=1")
	out, err := start.CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	pattern := regexp.MustCompile(`(?m)^init (rosey\.dev/\S+) .* (\d+) bytes, \d+ allocs$`)
	ours := pattern.FindAllStringSubmatch(string(out), -1)
	if len(ours) < 5 {
		t.Fatalf("%d packages in %s", len(ours), out)
	}
	for _, one := range ours {
		if size, err := strconv.Atoi(one[2]); err != nil || size > most {
			t.Errorf("package %s makes %s bytes, %v, expected at most %d", one[1], one[2], err, most)
		}
	}
}

// The goroutines of a bot run one after another, and those of all other commands as the machine allows.
func TestOnlyTheBotAlwaysHasOneProcessor(t *testing.T) {
	before := runtime.GOMAXPROCS(2)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	for _, arguments := range [][]string{nil, {"db"}, {"run", "bot"}} {
		if limitProcessors(arguments); runtime.GOMAXPROCS(0) != 2 {
			t.Errorf("rosey %v has %d processors, expected 2", arguments, runtime.GOMAXPROCS(0))
		}
	}
	t.Setenv("GOMAXPROCS", "2")
	if limitProcessors([]string{"bot"}); runtime.GOMAXPROCS(0) != 2 {
		t.Errorf("rosey bot has %d processors although GOMAXPROCS is 2", runtime.GOMAXPROCS(0))
	}
	t.Setenv("GOMAXPROCS", "")
	if limitProcessors([]string{"bot", "--log-level", "debug"}); runtime.GOMAXPROCS(0) != 1 {
		t.Errorf("rosey bot has %d processors, expected 1", runtime.GOMAXPROCS(0))
	}
}

// In direct mode the bot is limited before its mode is known. When that was undone, so was what the environment says.
func TestADirectBotHasTheProcessorsOfTheEnvironment(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	runtime.SetDefaultGOMAXPROCS()
	all := runtime.GOMAXPROCS(0)
	for variable, want := range map[string]int{"": all, strconv.Itoa(all + 1): all + 1} {
		t.Setenv("GOMAXPROCS", variable)
		runtime.GOMAXPROCS(want) // as at the start of a program
		limitProcessors([]string{botCommand})
		if unlimitProcessors(); runtime.GOMAXPROCS(0) != want {
			t.Errorf("with GOMAXPROCS=%s there are %d processors, expected %d", variable, runtime.GOMAXPROCS(0), want)
		}
	}
}
