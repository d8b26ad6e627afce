package simulator_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// Tests of client events that the captures do not have.

func TestLoginRefusals(t *testing.T) {
	t.Parallel()
	_, url := startSimulator(t, simulator.Options{Accounts: []simulator.Account{
		{Name: "rosey", Password: "secret", Rank: 3}, {Name: "owner", Rank: 5},
	}})
	tests := map[string]struct{ login, reason string }{
		"guest with an account's name":    {`{"name":"Rosey"}`, "That username is registered."},
		"account that does not exist":     {`{"name":"nobody","pw":"x"}`, "User does not exist"},
		"account with an invalid name":    {`{"name":"a b","pw":"x"}`, `Invalid username "a b"`},
		"account without a password":      {`{"name":"owner","pw":"x"}`, "Invalid username/password combination"},
		"password that is not a string":   {`{"name":"rosey","pw":7}`, "That username is registered."},
		"password in the wrong case":      {`{"name":"rosey","pw":"Secret"}`, "Invalid username/password combination"},
		"guest with a name that is empty": {`{"name":""}`, "Invalid username.  Usernames must be"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := connect(t, url)
			s.send(`42["login",` + test.login + `]`)
			got, _ := s.until("login").(map[string]any)
			reason, _ := got["error"].(string)
			if got["success"] != false || !strings.HasPrefix(reason, test.reason) {
				t.Errorf("got %v, expected %q", got, test.reason)
			}
		})
	}
}

// TestModeratorNeedsNoChannelPassword logs in before and after joinChannel.
func TestModeratorNeedsNoChannelPassword(t *testing.T) {
	t.Parallel()
	const login, joining = `42["login",{"name":"rosey","pw":"secret"}]`, `42["joinChannel",{"name":"private"}]`
	for name, packets := range map[string][]string{"login first": {login, joining}, "join first": {joining, login}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, url := startSimulator(t, simulator.Options{
				Accounts: []simulator.Account{{Name: "rosey", Password: "secret", Rank: 2}},
				Channels: []simulator.ChannelOptions{{Name: "private", Password: "sesame"}},
			})
			s := connect(t, url)
			for _, p := range packets {
				s.send(p)
			}
			s.until("cancelNeedPassword")
			want := []simulator.User{{Name: "rosey", Rank: 2}}
			if diff := cmp.Diff(want, sim.Channel("private").Users()); diff != "" {
				t.Errorf("users: -want +got:\n%s", diff)
			}
		})
	}
}

// TestLinesThatAreNotAllowed sends lines that nobody must see, then one that everybody sees.
func TestLinesThatAreNotAllowed(t *testing.T) {
	t.Parallel()
	sim, url := startSimulator(t, simulator.Options{})
	s := connect(t, url)
	s.send(`42["chatMsg",{"msg":"before joining"}]`)
	s.send(`42["joinChannel",{"name":"movienight"}]`)
	s.send(`42["chatMsg",{"msg":"before logging in","meta":{}}]`)
	s.send(`42["login",{"name":"bob"}]`)
	s.send(`42["chatMsg",{"msg":"   ","meta":{}}]`)
	s.send(`42["chatMsg",{"msg":"/say as a guest"}]`)
	s.send(`42["chatMsg",{"msg":7}]`)
	s.send(`42["noSuchEvent",{}]`)
	s.send(`421["chatMsg",{"msg":"with an acknowledgement id"}]`)
	got, _ := s.until("chatMsg").(map[string]any)
	if got["msg"] != "with an acknowledgement id" {
		t.Errorf("a line that CyTube drops: %v", got)
	}
	lines := 0
	for _, e := range sim.Channel("movienight").Log() {
		if e.Kind == simulator.KindChat {
			lines++
		}
	}
	if lines != 1 {
		t.Errorf("the log has %d lines, expected 1", lines)
	}
}

func TestPMRefusals(t *testing.T) {
	t.Parallel()
	_, url := startSimulator(t, simulator.Options{})
	s := connect(t, url)
	expect := func(packet, want string) {
		t.Helper()
		s.send(packet)
		if got, _ := s.until("errorMsg").(map[string]any); got["msg"] != want {
			t.Errorf("%s: got %v, expected %s", packet, got, want)
		}
	}
	s.send(`42["joinChannel",{"name":"movienight"}]`)
	expect(`42["pm",{"to":"bob","msg":"hi"}]`, "You must be signed in to send PMs")
	s.send(`42["login",{"name":"Bob"}]`)
	expect(`42["pm",{"to":"bob","msg":"hi"}]`, "You can't PM yourself!")
	expect(`42["pm",{"to":"a b","msg":"hi"}]`, "PM failed: a b isn't a valid username.")
	expect(`42["pm",{"to":"Carol","msg":"hi"}]`, "PM failed: carol isn't connected to this channel.")
}
