package simulator_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// TestCompared replays recordings of several clients at once on a real CyTube 3.86 (see README.md), each on its own
// connection, and expects the recorded frames for each client.
func TestCompared(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/compared/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("listing recordings: %v, %d files", err, len(files))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := readLines(t, file)
			synctest.Test(t, func(t *testing.T) { playCompared(t, name, lines) })
		})
	}
}

// comparedOptions returns the accounts, the channel and the settings of the recorded server.
func comparedOptions(channel string) simulator.Options {
	limits := replayLimits()
	limits.Connections = 4
	options := replayOptions(nil)
	options.Limits = limits
	options.Accounts[2].Password = "pw-alice"
	options.Accounts[0].Password = "pw-owner"
	options.Channels = []simulator.ChannelOptions{{Name: channel}}
	return options
}

func playCompared(t *testing.T, channel string, lines []captureLine) {
	t.Helper()
	b := newBubble(t, comparedOptions(channel))
	sockets := map[string]*socket{}
	closed, dismissed := map[*socket]bool{}, map[*socket]bool{}
	for i, line := range lines {
		number := i + 1
		b.at(line.T)
		s := sockets[line.Who]
		switch line.Dir {
		case "open":
			sockets[line.Who] = b.open(line.Address)
		case "out":
			s.send(line.Frame)
			synctest.Wait()
		case "close":
			closed[s] = true
			b.disconnect(s)
		case "closed":
			if !closed[s] && s.alive() {
				t.Errorf("line %d: the connection of %s is open, unlike the real server's", number, line.Who)
			}
		case "in":
			if dismissed[s] {
				continue // pending in the real server when it disconnected the client
			}
			dismissed[s] = line.Frame == "41"
			want, got := rounded(normalize(t, line.Frame)), rounded(normalize(t, s.receive()))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("line %d, to %s: -real server +simulator:\n%s", number, line.Who, diff)
			}
		}
	}
	for who, s := range sockets {
		if closed[s] || !s.alive() {
			continue
		}
		s.t.Log("rest of", who)
		s.expectNothingMore()
	}
}

// alive reports whether the connection is open. It may consume a frame, so it must be called last.
func (s *socket) alive() bool {
	return s.ws.Write(s.t.Context(), websocket.MessageText, []byte("40/alive,")) == nil &&
		strings.HasPrefix(s.mayReceive(), "44/alive,")
}

func (s *socket) mayReceive() string {
	_, packet, err := s.ws.Read(s.t.Context())
	if err != nil {
		return ""
	}
	return string(packet)
}

// rounded rounds the playback time: the real server's clock ticks a little late.
func rounded(f frame) frame {
	args, _ := f.Body.([]any)
	for _, arg := range args {
		if fields, ok := arg.(map[string]any); ok {
			if seconds, ok := fields["currentTime"].(float64); ok {
				fields["currentTime"] = math.Round(seconds)
			}
		}
	}
	return f
}
