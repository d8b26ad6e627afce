package simulator_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// inBubble runs a test with a fake clock.
func inBubble(t *testing.T, options simulator.Options, run func(b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run(newBubble(t, options)) })
}

// refusals returns the texts of the channel's entries of kind refuse.
func refusals(b *bubble) []string {
	texts := []string{}
	for _, e := range b.sim.Channel("movienight").Log() {
		if e.Kind == simulator.KindRefuse {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

func TestConnectionsPerAddress(t *testing.T) {
	t.Parallel()
	inBubble(t, simulator.Options{Limits: simulator.CyTubeLimits()}, func(b *bubble) {
		connect := func(address string) string {
			s := b.open(address)
			s.receive() // the open packet
			s.send("40")
			return s.receive()
		}
		const refused = `44{"message":"Rate limit exceeded"}`
		for i := range 5 {
			if got := connect(""); got == refused {
				t.Fatalf("connection %d was refused", i+1)
			}
		}
		if got := connect(""); got != refused {
			t.Errorf("the sixth at once: got %s", got)
		}
		if got := connect("192.0.2.1"); got == refused {
			t.Error("another address was refused")
		}
		time.Sleep(10 * time.Second)
		if got := connect(""); got == refused {
			t.Error("after 10 s one more was refused")
		}
		if got := connect(""); got != refused {
			t.Errorf("after 10 s a second one: got %s", got)
		}
		if got := b.sim.Log(); got[len(got)-1].Kind != simulator.KindLimit {
			t.Errorf("the log ends with %+v", got[len(got)-1])
		}
	})
}

// TestConnectionsAtOnce opens ten connections, and another one after one has closed.
func TestConnectionsAtOnce(t *testing.T) {
	t.Parallel()
	limits := simulator.Limits{Connections: 10}
	inBubble(t, simulator.Options{Limits: limits}, func(b *bubble) {
		first := b.connect("")
		for range 9 {
			b.connect("")
		}
		eleventh := b.open("")
		eleventh.send("40")
		got, _ := eleventh.until("kick").(map[string]any)
		if got["reason"] != "Too many connections from your IP address" {
			t.Errorf("the eleventh: %v", got)
		}
		if packet := eleventh.receive(); packet != "41" || eleventh.alive() {
			t.Errorf("after the kick came %s, and the connection went on", packet)
		}
		b.disconnect(first)
		b.connect("")
	})
}

func TestFloodOfChat(t *testing.T) {
	t.Parallel()
	channelLimit := simulator.Flood{Burst: 4, Sustained: 1, Cooldown: 4 * time.Second}
	tests := map[string]struct {
		channel simulator.Flood
		rank    float64
		burst   int
		pms     bool
		waitMS  float64 // until the next one
	}{
		"server":                  {burst: 20, waitMS: 100},
		"channel":                 {channel: channelLimit, burst: 4, waitMS: 1000},
		"channel, for moderators": {channel: channelLimit, rank: 2, burst: 20, waitMS: 100},
		"private messages":        {burst: 20, pms: true, waitMS: 100},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := simulator.Options{
				Limits:   simulator.CyTubeLimits(),
				Accounts: []simulator.Account{{Name: "bob", Password: "pw", Rank: test.rank}},
				Channels: []simulator.ChannelOptions{{Name: "movienight", ChatAntiflood: test.channel}},
			}
			inBubble(t, options, func(b *bubble) {
				join(t, b.sim, "movienight", "carol")
				s := b.enter("bob", "pw")
				kind, packet := simulator.KindChat, `42["chatMsg",{"msg":"x"}]`
				if test.pms {
					kind, packet = simulator.KindPM, `42["pm",{"to":"carol","msg":"x"}]`
				}
				said := func(n int) int {
					before := count(b, kind)
					for range n {
						s.send(packet)
					}
					synctest.Wait()
					return count(b, kind) - before
				}
				if got := said(test.burst + 3); got != test.burst {
					t.Errorf("at once: %d lines, expected %d", got, test.burst)
				}
				if got := s.until("cooldown"); got != test.waitMS {
					t.Errorf("cooldown: got %v", got)
				}
				time.Sleep(time.Duration(test.waitMS) * time.Millisecond)
				if got := said(2); got != 1 {
					t.Errorf("after %v ms: %d lines, expected 1", test.waitMS, got)
				}
				time.Sleep(5 * time.Second)
				if got := said(test.burst + 1); got != test.burst {
					t.Errorf("after a pause: %d lines, expected %d", got, test.burst)
				}
				if got := len(refusals(b)); got != 3+1+1 {
					t.Errorf("the log has %d refusals, expected 5", got)
				}
			})
		})
	}
}

func count(b *bubble, kind simulator.Kind) int {
	n := 0
	for _, e := range b.sim.Channel("movienight").Log() {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// TestNewGuestsMustWait checks that lines of new guests are refused, and lines with links for longer.
func TestNewGuestsMustWait(t *testing.T) {
	t.Parallel()
	options := simulator.Options{
		Accounts: []simulator.Account{{Name: "bob", Password: "pw", Rank: 1}},
		Channels: []simulator.ChannelOptions{{
			Name: "movienight", NewUserChatDelay: time.Minute, NewUserChatLinkDelay: time.Hour,
		}},
	}
	inBubble(t, options, func(b *bubble) {
		guest, member := b.enter("sam", ""), b.enter("bob", "pw")
		const link = `42["chatMsg",{"msg":"see https://example.com/"}]`
		member.send(link)
		guest.send(`42["chatMsg",{"msg":"hi"}]`)
		expectReason(t, guest, "NEW_USER_CHAT")
		time.Sleep(time.Minute)
		guest.send(link)
		expectReason(t, guest, "NEW_USER_CHAT_LINK")
		guest.send(`42["chatMsg",{"msg":"hi"}]`)
		synctest.Wait()
		if got := count(b, simulator.KindChat); got != 2 {
			t.Errorf("%d lines, expected 2", got)
		}
	})
}

func expectReason(t *testing.T, s *socket, want string) {
	t.Helper()
	if got, _ := s.until("spamFiltered").(map[string]any); got["reason"] != want {
		t.Errorf("spamFiltered: got %v, expected %s", got, want)
	}
}

func TestQueueLimit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ rank, burst float64 }{"user": {1.5, 3}, "moderator": {2, 10}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, simulator.Options{
				Limits:   simulator.CyTubeLimits(),
				Accounts: []simulator.Account{{Name: "bob", Password: "pw", Rank: test.rank}},
			}, func(b *bubble) {
				s := b.enter("bob", "pw")
				for i := range int(test.burst) + 1 {
					s.send(fmt.Sprintf(`42["queue",{"id":"f%d","type":"yt","pos":"end"}]`, i))
				}
				synctest.Wait()
				want := []string{"queueFail: You are adding videos too quickly"}
				if diff := cmp.Diff(want, refusals(b)); diff != "" {
					t.Errorf("refusals: -want +got:\n%s", diff)
				}
			})
		})
	}
}

// TestIdleIsAway checks that an idle user is marked away, and back after a line.
func TestIdleIsAway(t *testing.T) {
	t.Parallel()
	inBubble(t, simulator.Options{PingInterval: 24 * time.Hour}, func(b *bubble) {
		s := b.enter("bob", "")
		s.readOn()
		afk := func() string {
			synctest.Wait()
			state := "never"
			for _, e := range b.sim.Channel("movienight").Log() {
				if e.Kind == simulator.KindAFK {
					state = e.Text
				}
			}
			return state
		}
		steps := []struct {
			after time.Duration
			line  bool
			want  string
		}{
			{9 * time.Minute, true, "never"}, {9 * time.Minute, false, "never"}, {2 * time.Minute, false, "true"},
			{time.Hour, true, "false"},
		}
		for i, step := range steps {
			time.Sleep(step.after)
			if step.line {
				s.send(`42["chatMsg",{"msg":"still here"}]`)
			}
			if got := afk(); got != step.want {
				t.Errorf("step %d: away is %s, expected %s", i, got, step.want)
			}
		}
	})
}

// TestStayingOutOfTheNamespace checks that the server closes such a connection after Socket.IO's 45 s.
func TestStayingOutOfTheNamespace(t *testing.T) {
	t.Parallel()
	inBubble(t, simulator.Options{}, func(b *bubble) {
		out, in := b.open("").readOn(), b.connect("").readOn()
		time.Sleep(44 * time.Second)
		if out.ended() {
			t.Error("the connection ended early")
		}
		time.Sleep(2 * time.Second)
		if !out.ended() || in.ended() {
			t.Errorf("ended: out of the namespace %v, inside %v", out.ended(), in.ended())
		}
	})
}
