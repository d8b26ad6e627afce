package status_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"rosey.dev/rosey/runtime/status"
)

// Endless response headers took 110 MB of the operator's memory.
func TestFetchReportBoundsTheHeader(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	t.Cleanup(func() { _ = listener.Close() })
	sent := 0
	serving.Go(func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		for header := "X: " + strings.Repeat("x", 1000) + "\r\n"; sent < 32<<20 && err == nil; sent += len(header) {
			_, err = io.WriteString(conn, header)
		}
	})
	url := "http://" + listener.Addr().String()
	if _, err := status.FetchReport(t.Context(), status.NewClient(nil), url, ""); err == nil {
		t.Error("no error")
	}
	serving.Wait()
	if sent >= 32<<20 { // some of it waits in buffers of the kernel
		t.Errorf("the client read a header of %d MiB", sent>>20)
	}
}

func TestFetchReportFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	t.Cleanup(server.Close)
	_, err := status.FetchReport(t.Context(), status.NewClient(nil), server.URL, "")
	if err == nil || err.Error() != "HTTP status 307" || asked != 1 {
		t.Errorf("error %v after %d requests", err, asked)
	}
}
