package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/test/fuzz"
)

// limitedProcess is a process with the memory limit that the operator gives it. Where the machine lets the test create
// a control group, the kernel kills the process above the limit, as it kills a container. Elsewhere memory is measured.
type limitedProcess struct {
	*roseyProcess
	name   string // of its control group
	limit  int64
	groups *fuzz.Groups // nil: there are none
}

func startLimitedBot(t *testing.T, server string) limitedProcess {
	t.Helper()
	return startLimited(t, "bot", "bot", "--server", server, "--channel", "movienight", "--nats", natstest.Start(t).URL())
}

// startLimited starts the program with the default limit of a component, "bot" or "database".
func startLimited(t *testing.T, component string, arguments ...string) limitedProcess {
	t.Helper()
	limit, err := fuzz.DefaultLimit(component)
	if err != nil {
		t.Fatal(err)
	}
	b := limitedProcess{name: component, limit: limit}
	command := releasedProgram(t, append(arguments, "--http", "127.0.0.1:0")...)
	groups, err := fuzz.NewGroups()
	if err == nil {
		err = groups.Make(component, b.limit)
	}
	if err != nil {
		t.Logf("the memory limit is measured, and not enforced: %v", err)
		command.Env = append(os.Environ(), fmt.Sprintf("GOMEMLIMIT=%d", b.limit/100*memoryPart))
	} else {
		b.groups = groups
		wrapped := append(groups.Wrap(component), command.Args...)
		command.Path, command.Args = wrapped[0], wrapped
		t.Cleanup(func() {
			if err := groups.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	b.roseyProcess = startCommand(t, command)
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() }) // before the group is removed
	return b
}

// checkMemory checks that the limit has not killed the process.
func (b limitedProcess) checkMemory() {
	b.t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.command.Process.Pid))
	if err != nil {
		b.t.Skip(err)
	}
	kibi := map[string]int64{}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[2] == "kB" {
			kibi[fields[0]], _ = strconv.ParseInt(fields[1], 10, 64)
		}
	}
	most := (kibi["VmHWM:"] - kibi["RssFile:"]) << 10 // the kernel can drop the pages of the program
	b.t.Logf("at most %d MiB of %d", most>>20, b.limit>>20)
	if most <= 0 || most > b.limit {
		b.t.Error("the process took too much memory")
	}
	if b.groups == nil {
		return
	}
	if killed, err := b.groups.Killed(b.name); killed > 0 || err != nil {
		b.t.Errorf("killed %d times by the limit, %v", killed, err)
	}
}

// Whoever reaches the HTTP port must not be able to end the process, nor to have the kubelet end it.
func TestTenThousandIdleConnectionsChangeNothingForTheProbe(t *testing.T) {
	t.Run("bot", func(t *testing.T) {
		_, server := simulatortest.Start(t, simulator.Options{})
		checkIdleConnections(t, startLimitedBot(t, server), status.ReasonServiceAbsent)
	})
	t.Run("database service", func(t *testing.T) {
		service := startLimited(t, "database", "db", "--channel", "movienight", "--nats", natstest.Start(t).URL(),
			"--database", filepath.Join(t.TempDir(), "rosey.db"))
		checkIdleConnections(t, service, status.ReasonReady)
	})
}

// checkIdleConnections opens connections to a process that is in a state, and expects the state to stay.
func checkIdleConnections(t *testing.T, process limitedProcess, state status.Reason) {
	t.Helper()
	process.waitFor(state)
	address := strings.TrimPrefix(process.url(""), "http://")
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
	process.waitFor(state)
	process.checkMemory()
}

// floodingServer is a CyTube server that lets a bot in and then sends it frames until the bot is gone or the frames
// end, and after them a user named "last". It counts the bytes that it sends.
func floodingServer(t *testing.T, frames func(yield func(string) bool)) (url string, sent *atomic.Int64) {
	t.Helper()
	sent = new(atomic.Int64)
	mux := http.NewServeMux()
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	mux.HandleFunc("GET /socketconfig/{channel}", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"servers":[{"url":%q}]}`, site.URL)
	})
	mux.HandleFunc("GET /socket.io/", func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }()
		send := func(frame string) bool {
			sent.Add(int64(len(frame)))
			return ws.Write(r.Context(), websocket.MessageText, []byte(frame)) == nil
		}
		for _, frame := range []string{`0{"pingInterval":25000,"pingTimeout":120000}`, `40{"sid":"x"}`, `42["userlist",[]]`} {
			if !send(frame) {
				return
			}
		}
		go func() { // answers the bot's pings
			for err == nil {
				_, _, err = ws.Read(r.Context())
			}
		}()
		for frame := range frames {
			if !send(frame) {
				return
			}
		}
		send(`42["playlist",[]]`)
		send(`42["userlist",[{"name":"last"}]]`)
		<-r.Context().Done()
	})
	return site.URL, sent
}

// repeated returns the frame several times.
func repeated(frame string, times int) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for range times {
			if !yield(frame) {
				return
			}
		}
	}
}

// numbered returns frames of a form that has a verb for the frame's number.
func numbered(form string, count int) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := range count {
			if !yield(fmt.Sprintf(form, i)) {
				return
			}
		}
	}
}

// elements returns the frame of an event whose argument is a list of count elements. Their form has a verb for the
// element's number.
func elements(event, form string, count int) string {
	var list strings.Builder
	for i := range count {
		if i > 0 {
			list.WriteByte(',')
		}
		fmt.Fprintf(&list, form, i)
	}
	return fmt.Sprintf(`42["%s",[%s]]`, event, &list)
}

// floods are what a hostile server sends, in an order in which what is kept of one is still there with the next.
func floods() map[string]func(yield func(string) bool) {
	text := func(size int) string { return strings.Repeat("x", size) }
	item := `{"media":{"id":"` + text(500) + `","title":"` + text(500) + `","seconds":5},"uid":%d,"queueby":"alice"}`
	return map[string]func(yield func(string) bool){
		"01 items":                    numbered(`42["queue",{"item":`+item+`,"after":"append"}]`, 15_000),
		"02 users":                    numbered(`42["addUser",{"name":"user%0100d","rank":0,"meta":{}}]`, 20_000),
		"03 lines of 60 KB":           numbered(`42["chatMsg",{"username":"u%d","msg":"`+text(60_000)+`","time":1}]`, 1000),
		"04 unknown events of 500 KB": repeated(`42["motd","`+text(500_000)+`"]`, 100),
		"05 deep JSON to be filtered": repeated(`42["x",[{"ip":1},`+strings.Repeat("[[],{}],", 60_000)+`1]]`, 30),
		"06 private messages":         numbered(`42["pm",{"username":"user%d","msg":"help","to":"x","time":1}]`, 10_000),
		"07 malformed frames":         repeated("9", 30_000),
		"08 pings":                    repeated("2probe", 10_000),
		"09 unknown events of 15 MB":  repeated(`42["oversize",["`+text(15<<20)+`"]]`, 3),
		"10 lines of 15 MB":           repeated(`42["chatMsg",{"username":"alice","msg":"`+text(15<<20)+`"}]`, 3),
		"11 arguments":                repeated(`42["setMotd"`+strings.Repeat(",0", 250_000)+`]`, 30),
		"12 playlists of 15 MB":       repeated(elements("playlist", item, 13_000), 3),
		"13 playlists of a million":   repeated(elements("playlist", `{"uid":%d}`, 1_000_000), 1),
		"14 lists of nothing":         repeated(`42["userlist",[`+strings.Repeat("{},", 2_000_000)+`{}]]`, 1),
		"15 user lists of 100,000":    repeated(elements("userlist", `{"name":"user%06d","meta":{"ip":"x"}}`, 100_000), 3),
	}
}

// Whatever a CyTube server sends, the bot keeps within its default memory limit, answers its probes, and goes on.
func TestHostileServerDoesNotEndTheBot(t *testing.T) {
	all := floods()
	server, sent := floodingServer(t, func(yield func(string) bool) {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			for frame := range all[name] {
				if !yield(frame) {
					t.Errorf("flood %s: the bot has closed the connection", name)
					return
				}
			}
		}
	})
	bot := startLimitedBot(t, server)
	natstest.Within(t, 3*time.Minute, "the end of the floods", func() bool {
		if code, _ := bot.get(status.HealthPath); code != http.StatusOK {
			t.Fatalf("the bot does not answer its probe: %d", code)
		}
		_, state := bot.get(status.StatePath)
		return strings.Contains(state, `"last"`)
	})
	t.Logf("%d MB were sent", sent.Load()/1e6)
	bot.checkMemory()
}

// A frame that is longer than all that CyTube sends ends the connection, and the bot says why.
func TestFramesOf17MBEndTheConnectionOnly(t *testing.T) {
	server, _ := floodingServer(t, repeated(elements("userlist", `{"name":"%d"}`, 1_200_000), 1))
	bot := startLimitedBot(t, server)
	natstest.Eventually(t, "the cause", func() bool {
		_, report := bot.get(status.StatusPath)
		return strings.Contains(report, "the server sent a frame that is too long")
	})
	bot.checkMemory()
}
