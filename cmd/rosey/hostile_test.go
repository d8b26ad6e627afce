package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/status"
)

// memoryLimit returns the memory limit that the operator gives to a component by default.
func memoryLimit(t *testing.T, component string) int64 {
	t.Helper()
	content, err := os.ReadFile("../../controllers/manifests/base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var base map[string]corev1.Container
	if err := yaml.Unmarshal(content, &base); err != nil {
		t.Fatal(err)
	}
	limits := base[component].Resources.Limits
	limit := limits.Memory().Value()
	if limit <= 0 {
		t.Fatalf("base.yaml: %s has no memory limit", component)
	}
	return limit
}

// checkMemory checks the most memory that the process has had. It includes the pages of its program, which the kernel
// can drop and a container's limit does not have to hold.
func (p *roseyProcess) checkMemory(limit int64) {
	p.t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		p.t.Skip(err)
	}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); fields[0] == "VmHWM:" {
			kibi, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				p.t.Fatal(err)
			}
			p.t.Logf("at most %d MiB of %d", kibi>>10, limit>>20)
			if kibi<<10 > limit {
				p.t.Errorf("the process took %d MiB of memory, its limit is %d", kibi>>10, limit>>20)
			}
		}
	}
}

// Whoever reaches the HTTP port must not be able to end the process, nor to have the kubelet end it.
func TestTenThousandIdleConnectionsChangeNothingForTheProbe(t *testing.T) {
	_, server := simulatortest.Start(t, simulator.Options{})
	bot := start(t, "bot", "--server", server, "--channel", "movienight", "--nats", natstest.Start(t).URL(),
		"--http", "127.0.0.1:0")
	bot.waitFor(status.ReasonServiceAbsent)
	address := strings.TrimPrefix(bot.url(""), "http://")
	probe := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}} // the kubelet's
	for i := range 10_000 {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if i%2 == 0 { // idle after a request
			_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
			_, _ = bufio.NewReader(conn).ReadByte()
		}
		if i%500 == 499 {
			response, err := probe.Get("http://" + address + status.HealthPath)
			if err != nil {
				t.Fatalf("the probe beside %d connections: %v", i, err)
			}
			_ = response.Body.Close()
		}
	}
	if code, body := bot.get(status.ReadyPath); !strings.HasPrefix(body, string(status.ReasonServiceAbsent)) {
		t.Errorf("/readyz: %d %q", code, body)
	}
	bot.checkMemory(memoryLimit(t, "bot"))
}
