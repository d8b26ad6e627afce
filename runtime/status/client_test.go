package status_test

import (
	"fmt"
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

// startRaw starts a server that answers each request with a text, which need not be HTTP.
func startRaw(t *testing.T, answer string) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	t.Cleanup(func() { _ = listener.Close() })
	serving.Go(func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		if _, err := conn.Read(make([]byte, 4096)); err == nil {
			_, _ = io.WriteString(conn, answer)
		}
	})
	return "http://" + listener.Addr().String()
}

// Whatever answers instead of a report, the error is one of a few texts, without what was answered: it becomes a part
// of the status of a RoseyBot, where another text each time would be another write each time.
func TestFetchReportErrorsDoNotQuoteTheAnswer(t *testing.T) {
	t.Parallel()
	const (
		noHTTP   = "not a valid HTTP response"
		noReport = "not a status report in JSON"
		badName  = "a status report with a channel whose name is not a short printable text"
		manyOf   = "a status report with more than "

		badPlugin = "a status report with a plugin whose name is not 1 to 30 lower-case letters and digits"
	)
	body := func(fields string) string {
		return "HTTP/1.1 200 OK\r\n\r\n" + `{"component":"bot","reason":"Kicked","evil":1` + fields + "}"
	}
	many := func(element string, count int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(element+",", count), ",") + "]"
	}
	var refused strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&refused, `"a%d":"",`, i)
	}
	long := strings.Repeat("evil", 1000)
	for name, test := range map[string]struct{ answer, want string }{
		"no HTTP":          {"evil \x1b[31m " + long + "\r\n\r\n", noHTTP},
		"status code":      {"HTTP/1.1 evil\x1b[2J" + long + "\r\n\r\n", noHTTP},
		"length":           {"HTTP/1.1 200 OK\r\nContent-Length: evil" + long + "\r\n\r\n", noHTTP},
		"encoding":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: evil\r\n\r\n", noHTTP},
		"header":           {"HTTP/1.1 200 OK\r\nevil header\r\n\r\n", noHTTP},
		"location":         {"HTTP/1.1 302 OK\r\nLocation: ://\x01evil\r\n\r\n", noHTTP},
		"TLS":              {"\x15\x03\x01\x00\x02\x02\x16", noHTTP},
		"early hints":      {strings.Repeat("HTTP/1.1 103 evil\r\nX: y\r\n\r\n", 5000), noHTTP},
		"another protocol": {"HTTP/1.1 101 evil\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "HTTP status 101"},
		"unknown status":   {"HTTP/1.1 999 evil\r\n\r\n", "HTTP status 999"},
		"nothing":          {"", "connection closed"},
		"chunks":           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nevil\r\n", "invalid byte in chunk length"},
		"compressed":       {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8bevil", noReport},
		"invalid UTF-8":    {"HTTP/1.1 200 OK\r\n\r\n\xff\xfe{}", noReport},
		"nested":           {body(`,"x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)), noReport},
		"number":           {body(`,"ready":1e999999`), noReport},
		"time":             {body(`,"started":"99999-01-01T00:00:00Z"`), noReport},
		"leader twice": {
			body(`,"leader":"good","LEADER":"--evil"`), "a status report whose leader is not the name of a pod",
		},
		"checks":          {body(`,"checks":` + many(`{"name":"a","reason":"A"}`, 2000)), manyOf + "32 checks"},
		"channels":        {body(`,"channels":` + many(`"a"`, 10_000)), manyOf + "256 channels"},
		"refused":         {body(`,"refusedChannels":{` + refused.String() + `"b":""}`), manyOf + "256 channels"},
		"channel's name":  {body(`,"channels":["` + long + `"]`), badName},
		"refused channel": {body(`,"refusedChannels":{"evil\u202e":""}`), badName},
		"plugins":         {body(`,"plugins":` + many(`{"name":"a","reason":"A"}`, 21)), manyOf + "20 plugins"},
		"plugin's name":   {body(`,"plugins":[{"name":"e v","reason":"A"}]`), badPlugin},
		"plugin's reason": {
			body(`,"plugins":[{"name":"a","reason":"evil words"}]`),
			"a status report with a reason that is not a single CamelCase word",
		},
		"commands": {
			body(`,"plugins":[{"name":"a","reason":"A","commands":` + many(`"a"`, 21) + `}]`),
			manyOf + "20 commands of a plugin",
		},
		"command's name": {
			body(`,"plugins":[{"name":"a","reason":"A","commands":["evil words"]}]`),
			"a status report with a command whose name is not a short printable word",
		},
		"files": {body(`,"liveFiles":{"1":"1","2":"1","3":"1","4":"1","5":"1","6":"1","7":"1","8":"1","9":"1"}`), manyOf +
			"8 files"},
		"file's hash": {
			body(`,"liveFiles":{"a":"evil"}`), "a status report with a file whose name or hash is not a single word",
		},
		"component": {strings.Replace(body(""), "bot", "evil-"+long, 1), noReport},
		"reason": {
			strings.Replace(body(""), "Kicked", "evil words", 1),
			"a status report with a reason that is not a single CamelCase word",
		},
		"more than is read":    {body(`,"x":"` + strings.Repeat(long, 20) + `"`), noReport},
		"more than one report": {body("") + body(""), noReport},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := status.FetchReport(t.Context(), status.NewClient(nil), startRaw(t, test.answer), "")
			if err == nil || err.Error() != test.want {
				t.Errorf("error is %v, want %q", err, test.want)
			}
		})
	}
}

// What is no part of a report's form is made printable and short where it comes in.
func TestFetchedTextsAreShortAndPrintable(t *testing.T) {
	t.Parallel()
	evil := `\u001b[2J\u202e` + strings.Repeat("x", 5000)
	const header = "HTTP/1.1 200 OK\r\n\r\n"
	url := startRaw(t, header+fmt.Sprintf(`{"component":"bot","reason":"Kicked","message":"%s`+"\xff"+`",
"version":"%[1]s","started":"9999-12-31T23:59:59Z","checks":[{"name":"channel","reason":"Kicked","message":"%[1]s"}],
"refusedChannels":{"a":"%[1]s"}}`, evil))
	report, err := status.FetchReport(t.Context(), status.NewClient(nil), url, status.BotComponent)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{report.Message, report.Version, report.Checks[0].Message, report.RefusedChannels["a"]} {
		if text != status.Printable(text) || len([]rune(text)) > 1001 || !strings.Contains(text, "x") {
			t.Errorf("%d characters: %.50q", len(text), text)
		}
	}
}
