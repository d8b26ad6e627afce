package cytube

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/status"
)

func startSimulator(t *testing.T) (*simulator.Server, string) {
	t.Helper()
	return simulatortest.Start(t, simulator.Options{
		Accounts: []simulator.Account{{Name: "Rosey", Password: "pw-rosey", Rank: 3}, {Name: "bob", Password: "pw-bob"}},
		Channels: []simulator.ChannelOptions{{Name: "private", Password: "sesame"}},
	})
}

func TestAnEveningAtTheSimulator(t *testing.T) {
	sim, server := startSimulator(t)
	channel := sim.Channel("movienight")
	must(t, channel.Join("alice"))
	before, err := channel.Say("alice", "anybody <there>?")
	must(t, err)
	conn, err := Dial(t.Context(), Options{
		Server: server, Channel: "movienight", Username: "rosey", Password: "pw-rosey"})
	must(t, err)
	t.Cleanup(conn.Close)
	if conn.name != "Rosey" {
		t.Errorf("name %q, want the server's spelling", conn.name)
	}

	replayed := await[ChatMessage](t, conn)
	if replayed.User != "alice" || replayed.HTML != "anybody &lt;there&gt;?" || replayed.Time.UnixMilli() != before.Time {
		t.Errorf("replayed line %+v, said %+v", replayed, before)
	}
	if diff := cmp.Diff([]User{{Name: "alice"}}, await[UserList](t, conn).Users); diff != "" {
		t.Errorf("user list on joining (-want +got):\n%s", diff)
	}
	if own := await[AddUser](t, conn); own.User.Name != "Rosey" {
		t.Errorf("the first to come is %+v, want the bot", own)
	}
	want := []User{{Name: "alice"}, {Name: "Rosey", Rank: 3}}
	if diff := cmp.Diff(want, await[UserList](t, conn).Users); diff != "" {
		t.Errorf("user list for a moderator (-want +got):\n%s", diff)
	}

	must(t, channel.Join("carol"))
	if came := await[AddUser](t, conn); came.User.Name != "carol" {
		t.Errorf("came %+v, want carol", came)
	}
	must(t, conn.Command(t.Context(), "/me waves"))
	if line := awaitLineOf(t, conn, "Rosey"); line.HTML != "waves" || line.Kind != "action" {
		t.Errorf("the bot's own line %+v", line)
	}
	must(t, channel.Leave("carol"))
	if left := await[UserLeave](t, conn); left.Name != "carol" {
		t.Errorf("left %+v, want carol", left)
	}
}

func TestRefusalsOfTheSimulator(t *testing.T) {
	sim, server := startSimulator(t)
	must(t, sim.Channel("movienight").Join("alice"))
	tests := map[string]struct {
		options Options
		want    status.Reason
	}{
		"wrong password":   {Options{Channel: "movienight", Username: "bob", Password: "guess"}, status.ReasonLoginRefused},
		"name in use":      {Options{Channel: "movienight", Username: "Alice"}, status.ReasonNameTaken},
		"registered name":  {Options{Channel: "movienight", Username: "bob"}, status.ReasonNameTaken},
		"channel password": {Options{Channel: "private"}, status.ReasonChannelPasswordWrong},
		"wrong channel password": {
			Options{Channel: "private", ChannelPassword: "open"}, status.ReasonChannelPasswordWrong},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.options.Server = server
			conn, err := Dial(t.Context(), test.options)
			if err == nil {
				conn.Close()
			}
			checkError(t, err, Error{Reason: test.want})
		})
	}
}

func TestSecondLoginEndsTheFirst(t *testing.T) {
	_, server := startSimulator(t)
	bob := Options{Server: server, Channel: "private", ChannelPassword: "sesame", Username: "bob", Password: "pw-bob"}
	first, err := Dial(t.Context(), bob)
	must(t, err)
	t.Cleanup(first.Close)
	second, err := Dial(t.Context(), bob)
	must(t, err)
	t.Cleanup(second.Close)
	for err == nil {
		_, err = first.Next(t.Context())
	}
	checkError(t, err, Error{Reason: status.ReasonDuplicateLogin})
	must(t, second.Say(t.Context(), "it is me now"))
	if line := awaitLineOf(t, second, "bob"); line.HTML != "it is me now" {
		t.Errorf("line %+v", line)
	}
}

func TestServerGoesAway(t *testing.T) {
	sim, server := startSimulator(t)
	conn, err := Dial(t.Context(), Options{Server: server, Channel: "movienight"})
	must(t, err)
	t.Cleanup(conn.Close)
	sim.Close()
	for err == nil {
		_, err = conn.Next(t.Context())
	}
	checkError(t, err, Error{Reason: status.ReasonServerUnreachable, Message: "lost"})
	if said := conn.Say(t.Context(), "anyone?"); said == nil {
		t.Errorf("saying something on a lost connection: %v", said)
	}
}

// await reads up to the next event of a type.
func await[E Event](t *testing.T, conn *Conn) E {
	t.Helper()
	for {
		if event, ok := next(t, conn).(E); ok {
			return event
		}
	}
}

func awaitLineOf(t *testing.T, conn *Conn, user string) ChatMessage {
	t.Helper()
	for {
		if line := await[ChatMessage](t, conn); line.User == user {
			return line
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestMaxLineIsTheServersLimit compares MaxLine with what a server lets through that cuts longer lines.
func TestMaxLineIsTheServersLimit(t *testing.T) {
	sim, _ := startSimulator(t)
	channel := sim.Channel("movienight")
	must(t, channel.Join("alice"))
	entry, err := channel.Say("alice", strings.Repeat("x", MaxLine+10))
	must(t, err)
	if len(entry.Text) != MaxLine {
		t.Errorf("the server takes %d characters, MaxLine is %d", len(entry.Text), MaxLine)
	}
}
