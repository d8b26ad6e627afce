package natsserver_test

import (
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/natsserver"
)

func start(t *testing.T, listen string) *natsserver.Server {
	t.Helper()
	server, err := natsserver.Start(natsserver.Options{Listen: listen, Log: natstest.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return server
}

func TestNoListenerByDefault(t *testing.T) {
	server := start(t, "")
	if url := server.URL(); url != "" {
		t.Errorf("it listens on %s", url)
	}
	conn, err := bus.Connect(t.Context(), bus.Options{
		URL: natsserver.Name, Name: "test", Log: natstest.Log(t), InProcess: server,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.NATS().Subscribe("echo", func(m *nats.Msg) { _ = m.Respond(m.Data) }); err != nil {
		t.Fatal(err)
	}
	reply, err := conn.NATS().Request("echo", []byte("hello"), 5*time.Second)
	if err != nil || string(reply.Data) != "hello" {
		t.Errorf("%v, %v", reply, err)
	}
	if check := conn.Check(); !strings.Contains(check.Message, natsserver.Name) {
		t.Errorf("check %+v", check)
	}
}

func TestListening(t *testing.T) {
	server := start(t, "127.0.0.1:0")
	client, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
}

func TestInvalidAddresses(t *testing.T) {
	inUse, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inUse.Close() }()
	for address, want := range map[string]string{
		"4222": "expected host:port", "127.0.0.1:x": "expected host:port", "127.0.0.1:70000": "expected host:port",
		inUse.Addr().String(): "address already in use",
	} {
		began := time.Now()
		_, err := natsserver.Start(natsserver.Options{Listen: address, Log: natstest.Log(t)})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: error %v, want %s", address, err, want)
		}
		if lasted := time.Since(began); lasted > 5*time.Second {
			t.Errorf("%s: reported after %s", address, lasted)
		}
	}
}

// TestPodPackagesDoNotImportTheServer: what a pod runs must not link a NATS server.
func TestPodPackagesDoNotImportTheServer(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "../bot", "../database", "../process", "../config")
	packages, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) == 0 || strings.Contains(string(packages), "nats-server") {
		t.Errorf("a runtime package imports the NATS server:\n%s", packages)
	}
}
