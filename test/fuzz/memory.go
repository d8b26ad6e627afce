package fuzz

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/runtime/backoff"
)

// cgroups is where Linux mounts control groups.
const cgroups = "/sys/fs/cgroup"

// Groups are memory cgroups, one for each process, so that the kernel kills a process above its limit as it kills a
// container. With version 2 and 1 of control groups.
type Groups struct {
	version int
	made    map[string]string // the folder of each
}

// NewGroups returns an error if this machine has no memory cgroups, or does not let this process create any.
func NewGroups() (*Groups, error) {
	g := &Groups{version: 1, made: map[string]string{}}
	if controllers, err := os.ReadFile(cgroups + "/cgroup.subtree_control"); err == nil {
		g.version = 2
		if !strings.Contains(string(controllers), "memory") {
			return nil, errors.New("the memory controller is not enabled for groups at the top")
		}
	}
	if err := g.Make("try", 1<<30); err != nil {
		return nil, err
	}
	return g, g.Close()
}

// Make creates the group of a process.
func (g *Groups) Make(name string, limit int64) error {
	folder := filepath.Join(cgroups, "memory", groupName(name))
	files := []string{"memory.limit_in_bytes"}
	if g.version == 2 {
		folder, files = filepath.Join(cgroups, groupName(name)), []string{"memory.max"}
	}
	if err := os.Mkdir(folder, 0o755); err != nil { //nolint:gosec // as systemd does
		return fmt.Errorf("creating a cgroup: %w", err)
	}
	g.made[name] = folder
	for _, file := range files {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(strconv.FormatInt(limit, 10)), 0o600); err != nil {
			return fmt.Errorf("limiting the memory of a cgroup: %w", err)
		}
	}
	// Without swap the limit is that of a container. Absent where the kernel does not account swap.
	_ = os.WriteFile(filepath.Join(folder, "memory.swap.max"), []byte("0"), 0o600)
	return nil
}

func groupName(name string) string { return fmt.Sprintf("rosey-fuzz-%d-%s", os.Getpid(), name) }

// Wrap returns the command that starts a program in a group.
func (g *Groups) Wrap(name string) []string {
	return []string{"/bin/sh", "-c", `echo $$ >"$0/cgroup.procs" && exec "$@"`, g.made[name]}
}

// Killed returns how often the kernel killed a process of the group because of the limit.
func (g *Groups) Killed(name string) (int64, error) {
	file := "memory.oom_control"
	if g.version == 2 {
		file = "memory.events"
	}
	content, err := os.ReadFile(filepath.Join(g.made[name], file))
	if err != nil {
		return 0, fmt.Errorf("reading how often the limit killed a process: %w", err)
	}
	return number(string(content), "oom_kill ")
}

// Close removes the groups, whose processes have been stopped.
func (g *Groups) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for name, folder := range g.made {
		for {
			err := os.Remove(folder)
			if err == nil {
				break
			}
			if !backoff.Sleep(ctx, 20*time.Millisecond) { // a process takes a moment to vanish
				return fmt.Errorf("removing a cgroup: %w", err)
			}
		}
		delete(g.made, name)
	}
	return nil
}

// DefaultLimit returns the memory limit in bytes that the operator gives to a component, for tests in a directory two
// levels below that of the module.
func DefaultLimit(component string) (int64, error) {
	content, err := os.ReadFile("../../controllers/manifests/base.yaml")
	if err != nil {
		return 0, fmt.Errorf("reading the default limits: %w", err)
	}
	var base map[string]corev1.Container
	if err := yaml.Unmarshal(content, &base); err != nil {
		return 0, fmt.Errorf("decoding the default limits: %w", err)
	}
	limits := base[component].Resources.Limits
	limit := limits.Memory().Value()
	if limit <= 0 {
		return 0, fmt.Errorf("base.yaml: %s has no memory limit", component)
	}
	return limit, nil
}
