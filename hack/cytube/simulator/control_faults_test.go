package simulator_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// TestFaultsOverHTTP causes every fault through the API, as an end-to-end test does, and checks the log.
func TestFaultsOverHTTP(t *testing.T) {
	t.Parallel()
	_, url := startSimulator(t, simulator.Options{
		UsercountInterval: -1, Accounts: []simulator.Account{{Name: "mod", Rank: 3}},
	})
	s := connect(t, url)
	s.send(`42["joinChannel",{"name":"movienight"}]`)
	s.send(`42["login",{"name":"bob"}]`)
	s.until("addUser")
	const films = "channels/movienight/"
	steps := []struct {
		path, body string
		status     int
		answer     string // contained in the response
		event      string // received by the client
	}{
		{films + "join", `{"user":"mod"}`, 200, `{}`, "addUser"},
		{films + "do", `{"user":"mod","event":"setMotd","data":{"motd":"new"}}`, 200, `"kind":"motd"`, "setMotd"},
		{films + "do", `{"user":"mod","event":"chatMsg","data":{"msg":"/kick nobody"}}`, 400, `nobody to kick`, ""},
		{films + "do", `{"user":"mod","event":"pm","data":{"to":"x","msg":"y"}}`, 400, `isn't connected`, ""},
		{films + "do", `{"user":"mod","event":"nonsense"}`, 400, `nothing happened`, ""},
		{films + "do", `{"user":"bob","event":"chatMsg","data":{"msg":"x"}}`, 404, `not in the channel's audience`, ""},
		{films + "mute", `{"user":"bob"}`, 200, `{}`, "setUserMeta"},
		{films + "unmute", `{"user":"bob"}`, 200, `{}`, "setUserMeta"},
		{films + "inject", `{"user":"bob","frame":"42[\"odd\",1]"}`, 200, `{}`, "odd"},
		{films + "inject", `{"user":"bob","bytes":100000}`, 200, `{}`, "oversize"},
		{films + "inject", `{"user":"bob","binary":"` + base64.StdEncoding.EncodeToString([]byte(`42["raw"]`)) + `"}`,
			200, `{}`, "raw"},
		{films + "inject", `{"user":"bob","binary":"?"}`, 400, `expected base64`, ""},
		{films + "inject", `{"user":"bob"}`, 400, `expected frame, binary or bytes`, ""},
		{films + "inject", `{"user":"eve","bytes":9}`, 404, `not in the channel`, ""},
		{"slow", `{"user":"bob","delay_ms":1}`, 200, `{}`, ""},
		{"slow", `{"delay_ms":-1}`, 400, `delay_ms: expected 0 or more, got -1`, ""},
		{"slow", `{"delay_ms":0}`, 200, `{}`, ""},
		{"partition", `{"user":"bob"}`, 200, `{}`, ""},
		{films + "say", `{"user":"mod","text":"anyone?"}`, 200, `"kind":"chat"`, ""},
		{"heal", ``, 200, `{}`, "chatMsg"},
		{"refuse-logins", `{"for_ms":1,"reason":"not now"}`, 200, `{}`, ""},
		{films + "unban", `{"user":"bob"}`, 400, `not banned`, ""},
		{films + "ban", `{"user":"bob","reason":"spam"}`, 200, `{}`, "kick"},
		{films + "unban", `{"user":"bob"}`, 200, `{}`, ""},
		{films + "kick", `{"user":"bob","reason":"again"}`, 404, `not in the channel`, ""},
		{films + "disconnect", `{"user":"mod"}`, 200, `{}`, ""},
		{films + "drop", `{"user":"mod"}`, 404, `not in the channel`, ""},
		{"restart", `{"down_ms":-1}`, 400, `down_ms`, ""},
		{"restart", `{"down_ms":1,"crash":true}`, 200, `{}`, ""},
		{"restart", `nonsense`, 400, `expected a JSON object`, ""},
	}
	for _, step := range steps {
		status, answer := call(t, http.MethodPost, url+"/simulator/"+step.path, step.body)
		if status != step.status || !strings.Contains(answer, step.answer) {
			t.Fatalf("%s %s: got %d %s, expected %d with %s", step.path, step.body, status, answer, step.status, step.answer)
		}
		if step.event != "" {
			s.until(step.event)
		}
	}
	expectServerLog(t, url)
}

func expectServerLog(t *testing.T, url string) {
	t.Helper()
	status, body := get(t, url+"/simulator/log")
	if status != http.StatusOK {
		t.Fatalf("log: %d %s", status, body)
	}
	for _, kind := range []simulator.Kind{
		simulator.KindOpen, simulator.KindLogin, simulator.KindInject, simulator.KindSlow, simulator.KindPartition,
		simulator.KindHeal, simulator.KindNoLogins, simulator.KindClose, simulator.KindDismiss, simulator.KindRestart,
	} {
		if !strings.Contains(body, `"kind":"`+string(kind)+`"`) {
			t.Errorf("the log has no entry of kind %s", kind)
		}
	}
	if _, body := get(t, url+"/simulator/log?kind=restart"); strings.Count(body, `"seq"`) != 1 {
		t.Errorf("log of restarts: %s", body)
	}
	if status, _ := get(t, url+"/simulator/log?after=x"); status != http.StatusBadRequest {
		t.Errorf("a log after nonsense: %d", status)
	}
}

// TestAudienceActs checks the log entries of the audience's methods.
func TestAudienceActs(t *testing.T) {
	t.Parallel()
	sim := newServer(t, simulator.Options{
		UsercountInterval: -1,
		Accounts:          []simulator.Account{{Name: "mod", Rank: 3}},
		Media:             []simulator.Media{{ID: "abc", Title: "A film", Type: "yt", Seconds: 90}},
	})
	c := sim.Channel("movienight")
	join(t, sim, "movienight", "mod")
	visitor := c.Visit()
	if err := visitor.Login("sam"); err != nil {
		t.Fatal(err)
	}
	before := c.Log()[len(c.Log())-1].Seq
	uid, err := c.Queue("mod", simulator.Media{ID: "abc", Type: "yt"}, simulator.QueueEnd)
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range []error{
		c.Move("mod", 0, uid), c.SetTemp("mod", uid, true), c.SetTemp("mod", uid, false), c.JumpTo("mod", uid),
		c.SetAFK("sam", true), c.SetAFK("sam", false), c.Poll("mod", "So?", "a", "b"), c.Vote("sam", 1), c.ClosePoll("mod"),
		c.ToggleLock("mod"), c.SetRank("mod", "sam", 2), c.AssignLeader("mod", "sam"), c.Voteskip("sam"),
	} {
		if err != nil {
			t.Fatalf("act %d: %v", i, err)
		}
	}
	visitor.Leave()
	type entry struct {
		Kind       simulator.Kind
		User, Text string
	}
	want := []entry{
		{"queue", "mod", "A film"}, {"move", "mod", "Livestream"}, {"temp", "mod", "true"}, {"temp", "mod", "false"},
		{"delete", "", "Livestream"}, {"media", "", "A film"}, {"afk", "sam", "true"}, {"afk", "sam", "false"},
		{"poll", "mod", "So?"}, {"vote", "sam", ""}, {"pollclose", "", ""}, {"lock", "mod", "false"},
		{"rank", "sam", "2"}, {"leader", "sam", ""}, {"voteskip", "sam", ""}, {"media", "", "A film"}, {"leave", "sam", ""},
		{"disconnect", "sam", ""}, {"leader", "", ""}, {"usercount", "", ""},
	}
	var got []entry
	for _, e := range c.Log() {
		if e.Seq > before {
			got = append(got, entry{e.Kind, e.User, e.Text})
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log: -want +got:\n%s", diff)
	}
}
