package simulator_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// recording describes how a capture of the real server is replayed against the simulator.
type recording struct {
	file     string
	playlist []simulator.Media
	// before prepares the state that the real server's channel had at the start of the capture.
	before func(b *bubble)
	// cues are the other users' actions, by the number of the line before which they happen.
	cues map[int]func(b *bubble)
}

var recordings = []recording{
	{file: "evening", playlist: playlistBefore, before: ownerAndChat, cues: eveningCues},
	{file: "login-wrong-password", playlist: playlistAfter, before: someChat},
	{file: "login-invalid-name", playlist: playlistAfter, before: someChat},
	{file: "login-guest-name-in-use", playlist: playlistAfter, before: func(b *bubble) {
		someChat(b)
		joins("sam_guest")(b)
		b.quiet()
	}},
	{file: "login-guest-rate-limited", playlist: playlistAfter, before: func(b *bubble) {
		floodOfChat(b)
		first := b.connect("")
		first.send(`42["login",{"name":"quick_one"}]`)
		first.until("login")
		b.disconnect(first)
	}},
	{file: "channel-password-asked", before: ownerInPrivate},
	{file: "channel-password-given", before: ownerInPrivate},
	{file: "channel-password-wrong", before: ownerInPrivate},
	{file: "join-invalid-channel"},
	{file: "duplicate-login", playlist: playlistAfter, before: moreChat, cues: map[int]func(*bubble){
		32: joinsUnnamed, 33: names("rosey"),
	}},
	{file: "kicked", playlist: playlistAfter, before: ownerAndChat, cues: map[int]func(*bubble){
		31: says("owner", "/kick rosey be nice"),
	}},
	{file: "muted", playlist: playlistAfter, before: ownerAndChat, cues: map[int]func(*bubble){
		30: says("owner", "/mute bob"), 33: says("owner", "/unmute bob"),
	}},
	{file: "chat-flood-throttled", playlist: playlistAfter, before: moreChat},
	{file: "connect-rate-limited", before: func(b *bubble) {
		for range simulator.CyTubeLimits().ConnectBurst {
			b.disconnect(b.connect(""))
		}
	}},
}

// TestReplay replays the client's frames of every capture of a real server, at the recorded times, and expects the
// server's frames.
func TestReplay(t *testing.T) {
	t.Parallel()
	for _, r := range recordings {
		t.Run(r.file, func(t *testing.T) {
			t.Parallel()
			lines := readCapture(t, r.file)
			synctest.Test(t, func(t *testing.T) { r.play(t, lines) })
		})
	}
}

// TestReplayNamesEveryCapture checks that every capture is replayed.
func TestReplayNamesEveryCapture(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/captures/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("listing captures: %v, %d files", err, len(files))
	}
	known := map[string]bool{}
	for _, r := range recordings {
		known[r.file] = true
	}
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".jsonl"); !known[name] {
			t.Errorf("capture %s is not played", name)
		}
	}
}

func (r recording) play(t *testing.T, lines []captureLine) {
	t.Helper()
	b := newBubble(t, replayOptions(r.playlist))
	if r.before != nil {
		r.before(b)
	}
	b.started = time.Now()
	client := b.open("")
	for i, line := range lines {
		number := i + 1
		b.at(line.T)
		if cue := r.cues[number]; cue != nil {
			cue(b)
		}
		switch line.Dir {
		case "out":
			client.send(line.Frame)
		case "in":
			if diff := cmp.Diff(normalize(t, line.Frame), normalize(t, client.receive())); diff != "" {
				t.Fatalf("line %d: -real server +simulator:\n%s", number, diff)
			}
			if late := time.Since(b.started).Milliseconds() - int64(line.T); late > 0 {
				t.Errorf("line %d: %d ms later than the real server's", number, late)
			}
		}
	}
	client.expectNothingMore()
}

// expectNothingMore fails if the server has sent a frame that the capture does not have. It connects to a namespace
// that does not exist, to which the server responds in every state.
func (s *socket) expectNothingMore() {
	s.t.Helper()
	s.send("40/nowhere,")
	if got := s.receive(); !strings.HasPrefix(got, "44/nowhere,") {
		s.t.Errorf("the server sent more than the real one did: %s", got)
	}
}

type captureLine struct {
	Who     string `json:"who"`     // the client, if there are several
	Address string `json:"address"` // the client's address
	T       int    `json:"t"`       // ms
	Dir     string `json:"dir"`
	Frame   string `json:"frame"`
}

func readCapture(t *testing.T, name string) []captureLine {
	t.Helper()
	return readLines(t, filepath.Join("testdata", "captures", name+".jsonl"))
}

func readLines(t *testing.T, file string) []captureLine {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var lines []captureLine
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var line captureLine
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatalf("line %d of %s: %v", len(lines)+1, file, err)
		}
		lines = append(lines, line)
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// frame is a packet in a comparable form: the text before the JSON, and the JSON.
type frame struct {
	Type string
	Body any
}

func normalize(t *testing.T, packet string) frame {
	t.Helper()
	start := strings.IndexAny(packet, "[{")
	if start < 0 {
		return frame{Type: packet}
	}
	f := frame{Type: packet[:start]}
	if err := json.Unmarshal([]byte(packet[start:]), &f.Body); err != nil {
		t.Fatalf("packet %s: %v", packet, err)
	}
	f.Body = blank(f.Body)
	return f
}

// aliases are the names of one address, which the recorded users shared.
var aliases = regexp.MustCompile(`\(aliases: [A-Za-z0-9_,-]+\)`)

// blank replaces values that differ between runs by their types.
func blank(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = blank(value)
			switch key {
			case "sid", "ip":
				_, isText := value.(string)
				v[key] = map[bool]string{true: "<text>", false: "<not text>"}[isText]
			case "time", "timestamp":
				// A playlist's time is text, such as "00:00".
				if ms, isNumber := value.(float64); isNumber {
					v[key] = map[bool]string{true: "<ms>", false: "<not ms>"}[ms > 9e11 && ms == float64(int64(ms))]
				}
			case "aliases":
				_, isList := value.([]any)
				v[key] = map[bool]string{true: "<list>", false: "<not a list>"}[isList]
			}
		}
		return v
	case []any:
		for i := range v {
			v[i] = blank(v[i])
		}
		return v
	case string:
		return aliases.ReplaceAllString(v, "(aliases)")
	default:
		return v
	}
}
