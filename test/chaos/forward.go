package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"rosey.dev/rosey/runtime/backoff"
)

// forward makes an address of the cluster's network reachable on loopback and returns the new address, host:port. Only
// the run itself uses it, and no fault affects it.
func (c *Cluster) forward(ctx context.Context, name, target string) (string, error) {
	program := filepath.Join(filepath.Dir(c.kubectl), "forward")
	portFile := filepath.Join(c.dir, name+".port")
	//nolint:gosec // the repository's own programs
	command := exec.CommandContext(context.WithoutCancel(ctx), program, "listen", portFile,
		filepath.Join(c.repository, "hack/cluster/cluster"), "run", "--net-only", "--name", clusterName,
		program, "serve", target)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		return "", fmt.Errorf("forwarding a port to %s: %w", name, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = command.Wait() // it is killed below
	}()
	c.closers = append(c.closers, func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		<-ended
	})
	limit, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		text, err := os.ReadFile(portFile)
		if port := strings.TrimSpace(string(text)); err == nil && port != "" {
			return "127.0.0.1:" + port, nil
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("forwarding a port to %s: %w", name, err)
		}
		if !backoff.Sleep(limit, 50*time.Millisecond) {
			return "", fmt.Errorf("forwarding a port to %s: no port within 30 s", name)
		}
	}
}
