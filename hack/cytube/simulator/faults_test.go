package simulator_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// faultKinds returns the kinds of entries in the server's log, without connections.
func faultKinds(b *bubble) []simulator.Kind {
	kinds := []simulator.Kind{}
	for _, e := range b.sim.Log() {
		if e.Kind != simulator.KindOpen && e.Kind != simulator.KindClose && e.Kind != simulator.KindLogin {
			kinds = append(kinds, e.Kind)
		}
	}
	return kinds
}

func userNames(users []simulator.User) []string {
	names := []string{}
	for _, u := range users {
		names = append(names, u.Name)
	}
	return names
}

func TestRestart(t *testing.T) {
	t.Parallel()
	for name, crash := range map[string]bool{"asked to end": false, "crashed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := simulator.Options{Limits: simulator.CyTubeLimits(), Accounts: []simulator.Account{{Name: "mod", Rank: 3}}}
			inBubble(t, options, func(b *bubble) {
				c := b.sim.Channel("movienight")
				join(t, b.sim, "movienight", "mod")
				s := b.enter("bob", "")
				say(t, b.sim, "mod", "before")
				for _, act := range []error{
					c.SetMOTD("mod", "changed"), c.Mute("troll"), c.Ban("spammer", "spam"), c.Poll("mod", "So?", "a", "b"),
					c.AssignLeader("mod", "mod"), c.JumpTo("mod", 0),
				} {
					if act != nil {
						t.Fatal(act)
					}
				}
				s.readOn()
				if crash {
					b.sim.Crash(30 * time.Second)
				} else {
					b.sim.Restart(30 * time.Second)
				}
				synctest.Wait()
				if s.ws.Write(s.t.Context(), websocket.MessageText, []byte("3")) == nil {
					t.Error("the connection outlived the server")
				}
				if got := len(c.Users()) + c.Connections(); got != 0 {
					t.Errorf("after the restart %d are there", got)
				}
				if _, err := b.tryOpen("", waitLimit); err == nil {
					t.Error("the server admits connections while it is down")
				}
				time.Sleep(30 * time.Second)
				expectAfterRestart(t, b, crash)
			})
		})
	}
}

// expectAfterRestart joins and checks the state that the channel has kept.
func expectAfterRestart(t *testing.T, b *bubble, crash bool) {
	t.Helper()
	s := b.connect("")
	s.send(`42["joinChannel",{"name":"movienight"}]`)
	got := map[string]any{}
	for got["usercount"] == nil {
		name, args := splitEvent(t, s.receive())
		got[name] = args
	}
	for _, event := range []string{"chatMsg", "newPoll"} {
		if _, kept := got[event]; kept == crash {
			t.Errorf("%s kept: %v", event, kept)
		}
	}
	motd := "changed"
	if crash {
		motd = "Welcome to <i>movienight</i>"
	}
	if diff := cmp.Diff([]any{motd}, got["setMotd"]); diff != "" {
		t.Errorf("setMotd: -want +got:\n%s", diff)
	}
	s.send(`42["login",{"name":"sam"}]`) // from an address with a guest login less than a minute ago
	if login, _ := s.until("login").(map[string]any); login["success"] != true {
		t.Errorf("a guest's login: %v", login)
	}
	if got["setLeader"] != nil {
		t.Errorf("the leader was kept: %v", got["setLeader"])
	}
	if err := b.sim.Channel("movienight").Join("spammer"); err == nil {
		t.Error("the ban was forgotten")
	}
	if diff := cmp.Diff([]simulator.Kind{simulator.KindRestart}, faultKinds(b)); diff != "" {
		t.Errorf("log: -want +got:\n%s", diff)
	}
}

// TestPartition checks that a partition delays bytes, and the end of a connection, until it is healed.
func TestPartition(t *testing.T) {
	t.Parallel()
	targets := map[string]simulator.Target{
		"of all": {}, "of an address": {Address: "127.0.0.1"}, "of a user": {User: "BOB"},
	}
	for name, target := range targets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, simulator.Options{}, func(b *bubble) {
				join(t, b.sim, "movienight", "alice")
				s := b.enter("bob", "")
				arrived := s.readOn()
				synctest.Wait()
				arrived.take()
				b.sim.Partition(target)
				say(t, b.sim, "alice", "can you hear me")
				go func() { _ = s.ws.Write(s.t.Context(), websocket.MessageText, []byte(`42["chatMsg",{"msg":"hello?"}]`)) }()
				time.Sleep(20 * time.Second)
				if got := count(b, simulator.KindChat); got != 1 {
					t.Errorf("%d lines came through, expected alice's only", got)
				}
				if got := arrived.take(); len(got) > 0 {
					t.Errorf("during the partition came %v", got)
				}
				b.sim.Heal()
				synctest.Wait()
				if got := count(b, simulator.KindChat); got != 2 {
					t.Errorf("after it healed: %d lines, expected 2", got)
				}
				all := strings.Join(arrived.take(), "\n")
				if !strings.Contains(all, "can you hear me") || !strings.Contains(all, "hello?") {
					t.Errorf("after it healed came %s", all)
				}
				want := []simulator.Kind{simulator.KindPartition, simulator.KindHeal}
				if diff := cmp.Diff(want, faultKinds(b)); diff != "" {
					t.Errorf("log: -want +got:\n%s", diff)
				}
			})
		})
	}
}

// TestPartitionOutlastsTheHeartbeat checks that each side gives up, but sees the other's end only after the partition.
func TestPartitionOutlastsTheHeartbeat(t *testing.T) {
	t.Parallel()
	inBubble(t, simulator.Options{}, func(b *bubble) {
		s := b.enter("bob", "")
		arrived := s.readOn()
		synctest.Wait()
		b.sim.Partition(simulator.Target{})
		time.Sleep(140 * time.Second)
		if got := userNames(b.sim.Channel("movienight").Users()); !slices.Contains(got, "bob") {
			t.Error("the server has given up before the time-out")
		}
		if _, err := b.tryOpen("", time.Second); err == nil {
			t.Error("a new connection was accepted")
		}
		time.Sleep(10 * time.Second)
		if got := userNames(b.sim.Channel("movienight").Users()); slices.Contains(got, "bob") {
			t.Error("the server has not given up")
		}
		if arrived.ended() {
			t.Error("the client saw the end during the partition")
		}
		b.sim.Heal()
		synctest.Wait()
		if !arrived.ended() {
			t.Error("the client did not see the end afterwards")
		}
		b.enter("bob", "")
	})
}

// TestHalfOpen checks that a client that gives up during a partition stays in the user list.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	options := simulator.Options{Accounts: []simulator.Account{{Name: "bob", Password: "pw", Rank: 1}}}
	inBubble(t, options, func(b *bubble) {
		old := b.enter("bob", "pw")
		b.sim.Partition(simulator.Target{User: "bob"})
		b.disconnect(old)
		b.enter("bob", "pw")
		kicked := slices.ContainsFunc(b.sim.Channel("movienight").Log(), func(e simulator.Entry) bool {
			return e.Kind == simulator.KindKick && e.Text == "Duplicate login"
		})
		if !kicked {
			t.Error("the half-open connection was not kicked by the new login")
		}
		b.sim.Heal()
	})
}

func TestSlow(t *testing.T) {
	t.Parallel()
	inBubble(t, simulator.Options{}, func(b *bubble) {
		slow, fast := b.connect("192.0.2.1"), b.connect("192.0.2.2")
		b.sim.Slow(simulator.Target{Address: "192.0.2.1"}, time.Second)
		answer := func(s *socket) time.Duration {
			start := time.Now()
			s.send("40/nowhere,")
			s.receive()
			return time.Since(start)
		}
		if got := answer(slow); got != 2*time.Second { // one in each direction
			t.Errorf("the slow one took %s", got)
		}
		if got := answer(fast); got != 0 {
			t.Errorf("the other one took %s", got)
		}
		b.sim.Slow(simulator.Target{}, 0)
		if got := answer(slow); got != 0 {
			t.Errorf("afterwards it took %s", got)
		}
	})
}

func TestRefuseLogins(t *testing.T) {
	t.Parallel()
	inBubble(t, simulator.Options{}, func(b *bubble) {
		b.sim.RefuseLogins(time.Minute, "")
		s := b.connect("")
		s.send(`42["login",{"name":"bob"}]`)
		if got, _ := s.until("login").(map[string]any); got["success"] != false || got["error"] != "Database failure" {
			t.Errorf("got %v", got)
		}
		time.Sleep(time.Minute)
		s.send(`42["login",{"name":"bob"}]`)
		if got, _ := s.until("login").(map[string]any); got["success"] != true {
			t.Errorf("after a minute: got %v", got)
		}
		want := []simulator.Kind{simulator.KindNoLogins, simulator.KindLoginRefused}
		if diff := cmp.Diff(want, faultKinds(b)); diff != "" {
			t.Errorf("log: -want +got:\n%s", diff)
		}
	})
}

// TestFaultsOfOneClient checks what a client sees of the faults that affect only it.
func TestFaultsOfOneClient(t *testing.T) {
	t.Parallel()
	const longest = 20 << 20
	muted := `42["setUserMeta",{"name":"bob","meta":{"afk":false,"muted":true}}]`
	type channel = simulator.Channel
	tests := map[string]struct {
		do   func(*channel) error
		came []string
		over bool
	}{
		"kick": {do: func(c *channel) error { return c.Kick("Bob", "go") }, came: []string{
			`42["kick",{"reason":"go"}]`, "41",
		}},
		"ban": {do: func(c *channel) error { return c.Ban("bob", "go") }, came: []string{
			`42["kick",{"reason":"You're banned!"}]`, "41",
		}},
		"mute":       {do: func(c *channel) error { return c.Mute("bob") }, came: []string{muted}},
		"disconnect": {do: func(c *channel) error { return c.Disconnect("bob") }, came: []string{"41"}},
		"drop":       {do: func(c *channel) error { return c.Drop("bob") }, over: true},
		"malformed": {do: func(c *channel) error { return c.Inject("bob", `42["chatMsg",`) }, came: []string{
			`42["chatMsg",`,
		}},
		"binary": {do: func(c *channel) error { return c.InjectBinary("bob", []byte{4, 0}) }, came: []string{
			"\x04\x00",
		}},
		"oversize": {
			do:   func(c *channel) error { return c.Inject("bob", simulator.OversizeFrame(longest)) },
			came: []string{simulator.OversizeFrame(longest)},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, simulator.Options{}, func(b *bubble) {
				s := b.enter("bob", "")
				arrived := s.readOn()
				synctest.Wait()
				arrived.take()
				if err := test.do(b.sim.Channel("movienight")); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if diff := cmp.Diff(test.came, arrived.take()); diff != "" {
					t.Errorf("came: -want +got:\n%.500s", diff)
				}
				if arrived.ended() != test.over {
					t.Errorf("the connection is over: %v", arrived.ended())
				}
			})
		})
	}
	if got := len(simulator.OversizeFrame(longest)); got != longest {
		t.Errorf("an oversize frame has %d bytes, expected %d", got, longest)
	}
}

func TestFaultsOfAnAbsentUser(t *testing.T) {
	t.Parallel()
	sim := newServer(t, simulator.Options{})
	c := sim.Channel("movienight")
	join(t, sim, "movienight", "alice")
	for name, err := range map[string]error{
		"kick": c.Kick("bob", ""), "disconnect": c.Disconnect("bob"), "drop": c.Drop("bob"), "inject": c.Inject("bob", "2"),
		"inject into the audience": c.Inject("alice", "2"), "ban of a name that is none": c.Ban("a b", ""),
		"unban of who is not banned": c.Unban("bob"), "mute of a name that is none": c.Mute(""),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
