package process_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/process"
	"rosey.dev/rosey/runtime/room"
	"rosey.dev/rosey/runtime/status"
)

// serve serves a process on a loopback address until the test ends.
func serve(t *testing.T, server process.Server) (address string) {
	t.Helper()
	server.Component, server.Version, server.Log = status.BotComponent, "v1", slog.New(slog.DiscardHandler)
	server.Metrics = prometheus.NewRegistry()
	listener, err := process.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(ctx, listener); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); serving.Wait() })
	return listener.Addr().String()
}

func connect(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// send writes a request and returns the status of the response, 0 if the server closes the connection instead.
func send(t *testing.T, conn net.Conn, request string) int {
	t.Helper()
	if _, err := io.WriteString(conn, request); err != nil {
		return 0
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// A page that a browser loaded from a name which now points to the loopback address must not read anything.
func TestForeignHostsOnALoopbackAddressAreRefused(t *testing.T) {
	t.Parallel()
	address := serve(t, process.Server{})
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST:8080": 200, "127.0.0.1": 200, "[::1]:" + port: 200, "127.0.0.1:" + port: 200,
		"attacker.example": 421, "attacker.example:" + port: 421, "localhost.attacker.example": 421,
		"127.0.0.1.nip.io": 421, "10.0.0.1": 421, "0.0.0.0:" + port: 421, "[fe80::1]": 421, "": 421,
	} {
		for _, path := range []string{
			status.ProcessPath, status.StatePath, status.StatusPath, status.MetricsPath, status.ReadyPath,
			status.HealthPath, "/other",
		} {
			want := want
			if want == 200 && path == "/other" {
				want = 404
			}
			if got := send(t, connect(t, address), fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host)); got != want {
				t.Errorf("host %q, path %s: status %d, want %d", host, path, got, want)
			}
		}
	}
	// A URL in the request line stands above the header.
	const inURL = "GET http://attacker.example/status HTTP/1.1\r\nHost: localhost\r\n\r\n"
	if got := send(t, connect(t, address), inURL); got != 421 {
		t.Errorf("foreign host in the request line: status %d", got)
	}
	if got := send(t, connect(t, address), "GET /status HTTP/1.0\r\n\r\n"); got != 421 {
		t.Errorf("no host: status %d", got)
	}
}

// A proxy on this machine passes on requests for the host of the pages, and for no other.
func TestTheHostOfAProxyIsServedOnALoopbackAddress(t *testing.T) {
	t.Parallel()
	address := serve(t, process.Server{Host: "movies.example.org"})
	for host, want := range map[string]int{
		"movies.example.org": 200, "MOVIES.example.org:8443": 200, "localhost": 200, "attacker.example": 421,
		"movies.example.org.attacker.example": 421, "x.movies.example.org": 421, "": 421,
	} {
		request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", status.StatusPath, host)
		if got := send(t, connect(t, address), request); got != want {
			t.Errorf("host %q: status %d, want %d", host, got, want)
		}
	}
}

// Whoever reaches the port can only read.
func TestOnlyReadingIsPossible(t *testing.T) {
	t.Parallel()
	address := serve(t, process.Server{})
	for _, path := range []string{
		status.ProcessPath, status.HealthPath, status.ReadyPath, status.StatusPath, status.StatePath, status.MetricsPath,
	} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			request := method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
			if code := send(t, connect(t, address), request); code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d, want %d", method, path, code, http.StatusMethodNotAllowed)
			}
		}
	}
}

func TestEndlessHeadersAreCut(t *testing.T) {
	t.Parallel()
	conn := connect(t, serve(t, process.Server{}))
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"); err != nil {
		t.Fatal(err)
	}
	header, sent := "X: "+strings.Repeat("x", 1000)+"\r\n", 0
	for ; sent < 16<<20; sent += len(header) {
		if _, err := io.WriteString(conn, header); err != nil {
			break
		}
	}
	if sent >= 16<<20 {
		t.Errorf("the server reads headers of %d bytes", sent)
	}
}

// The time-out is five seconds; the test waits for it beside the others.
func TestSlowHeadersAreCut(t *testing.T) {
	t.Parallel()
	address := serve(t, process.Server{})
	for name, begin := range map[string]string{
		"nothing": "", "half a request line": "GET /he", "half a header": "GET /healthz HTTP/1.1\r\nHost: local",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := connect(t, address)
			if _, err := io.WriteString(conn, begin); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection stays open")
			}
		})
	}
}

// Connections that send nothing, half a request or read nothing must neither add up nor keep a probe out.
func TestConnectionsAreBoundedAndProbesGetThrough(t *testing.T) {
	t.Parallel()
	address := serve(t, process.Server{})
	var open []net.Conn
	for i := range 2000 {
		conn := connect(t, address)
		open = append(open, conn)
		begin := []string{
			"", "GET /he", "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", "POST / HTTP/1.1\r\nHost: x",
		}[i%4]
		_, _ = io.WriteString(conn, begin) // the server may have closed it already
		if i%100 == 0 {
			if got := send(t, connect(t, address), "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"); got != 200 {
				t.Fatalf("the probe beside %d connections gets status %d", len(open), got)
			}
		}
	}
	var alive atomic.Int64
	var reading sync.WaitGroup
	soon := time.Now().Add(500 * time.Millisecond)
	for _, conn := range open {
		reading.Go(func() {
			_ = conn.SetReadDeadline(soon)
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				alive.Add(1)
			}
		})
	}
	reading.Wait()
	if alive.Load() > 256 {
		t.Errorf("%d connections are open, want 256 at most", alive.Load())
	}
}

// Large responses must not add up in memory while nobody reads them. The operator's questions and probes go on.
func TestLargeResponsesAreBounded(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}, 100), make(chan struct{})
	address := serve(t, process.Server{Channel: func(context.Context) *room.Snapshot {
		asked <- struct{}{}
		<-release
		return nil
	}})
	t.Cleanup(func() { close(release) })
	const request = "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for range 4 {
		if _, err := fmt.Fprintf(connect(t, address), request, status.StatePath); err != nil {
			t.Fatal(err)
		}
		<-asked
	}
	for path, want := range map[string]int{
		status.ProcessPath: 503, status.StatePath: 503, status.MetricsPath: 503,
		status.StatusPath: 200, status.ReadyPath: 200, status.HealthPath: 200,
	} {
		if got := send(t, connect(t, address), fmt.Sprintf(request, path)); got != want {
			t.Errorf("%s: status %d, want %d", path, got, want)
		}
	}
}
