package database_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// exported returns the kinds of everything that is stored about a user.
func (r *rig) exported(name string) (kinds []string) {
	r.t.Helper()
	cursor := ""
	for range 100 {
		reply := ask[bus.PeopleExportReply](r, bus.PeopleExport,
			fmt.Sprintf(`{"username":%q,"cursor":%q}`, name, cursor))
		if !reply.Success {
			r.t.Fatalf("export: %s", reply.Error)
		}
		for _, item := range reply.Items {
			kinds = append(kinds, string(item.Kind))
			if item.At == 0 || !strings.HasPrefix(string(item.Content), "{") {
				r.t.Errorf("item %+v", item)
			}
		}
		if cursor = reply.Next; cursor == "" {
			return kinds
		}
	}
	r.t.Fatal("the export does not end")
	return nil
}

// TestAPersonIsExportedAndForgotten checks the requests of people about themselves, dead letters and backups included.
func TestAPersonIsExportedAndForgotten(t *testing.T) {
	r := newRig(t)
	letters := make([]store.DeadLetter, 0, 250)
	for i := range 250 { // more than are read at a time
		letters = append(letters, store.NewDeadLetter("db.message.log", fmt.Sprint(i), "too early",
			[]byte(`{"username":"bob","message":"alice"}`), time.Now()))
	}
	letters = append(letters,
		store.NewDeadLetter("db.message.log", "a", "too early", []byte(`{"username":"ALICE","message":"x"}`), time.Now()),
		store.NewDeadLetter("db.message.log", "b", "not JSON", []byte(`{"username":"Alice",`), time.Now()),
		store.NewDeadLetter("db.message.log", "c", "too early",
			[]byte(`{"username":"alice","message":"x","channel":"elsewhere"}`), time.Now()))
	r.addDeadLetters(letters...)
	backups := t.TempDir()
	s := r.start(func(o *database.ServiceOptions) {
		o.Backup = database.BackupOptions{Directory: backups, Every: time.Hour, Keep: 2}
	})
	r.ready(s)
	r.publish(bus.UserJoined, `{"username":"Alice"}`)
	r.publish(bus.MessageLog, `{"username":"alice","message":"hi"}`, bus.MsgIDHeader, "1/db.message.log")
	r.waitUntilStored()
	want := []string{"user", "session", "line", "hour", "deadLetter", "deadLetter"}
	if got := r.exported("aLice"); !slices.Equal(got, want) {
		t.Errorf("exported %v, want %v", got, want)
	}
	entries, err := os.ReadDir(backups)
	if err != nil {
		t.Fatal(err)
	}
	reply := ask[bus.PeopleForgetReply](r, bus.PeopleForget, `{"username":"aLice"}`)
	if !reply.Success || reply.Removed[bus.PeopleLine] != 1 || reply.Removed[bus.PeopleDeadLetter] != 2 ||
		reply.Until < time.Now().UnixMilli() || len(reply.Backups) < len(entries) {
		t.Errorf("forget: %+v, backups %v", reply, entries)
	}
	for _, name := range reply.Backups {
		if _, err := os.Stat(filepath.Join(backups, name)); err != nil {
			t.Errorf("backup: %v", err)
		}
	}
	if got := r.exported("alice"); len(got) > 0 {
		t.Errorf("left: %v", got)
	}
	r.publish(bus.MessageLog, `{"username":"alice","message":"hi"}`, bus.MsgIDHeader, "1/db.message.log")
	r.waitUntilStored()
	if got := r.exported("alice"); len(got) > 0 {
		t.Errorf("after a repetition: %v", got)
	}
	for body, want := range map[string]string{
		`{}`: "username: expected", `{"username":""}`: "username: expected", `[]`: "", `{"username":"a","channel":"x"}`: "x",
	} {
		if reply := ask[bus.PeopleForgetReply](r, bus.PeopleForget, body); reply.Success ||
			!strings.Contains(reply.Error, want) {
			t.Errorf("forget %s: %+v", body, reply)
		}
	}
	for _, cursor := range []string{
		"x", "-1:", "4:abc", "dead:", "dead:x", "99999999999999999999:", strings.Repeat("1", 999),
	} {
		reply := ask[bus.PeopleExportReply](r, bus.PeopleExport, fmt.Sprintf(`{"username":"a","cursor":%q}`, cursor))
		if reply.Success || !strings.Contains(reply.Error, "cursor: expected") {
			t.Errorf("export from %q: %+v", cursor, reply)
		}
	}
}

// TestALineIsTakenBack checks that a line that waits is taken back, and no other.
func TestALineIsTakenBack(t *testing.T) {
	r := newRig(t)
	r.ready(r.start())
	waiting, claimed := r.put(`{"message":"one"}`), r.put(`{"message":"two"}`)
	cancel := func(body string) bus.OutboundCancelReply {
		t.Helper()
		return ask[bus.OutboundCancelReply](r, bus.OutboundCancel, body)
	}
	if reply := cancel(fmt.Sprintf(`{"id":%d,"asker":"bob"}`, waiting.ID)); !reply.Success ||
		reply.State != bus.OutboundCancelled {
		t.Errorf("cancel: %+v", reply)
	}
	if list := r.request(bus.QueryOutbound, `{}`); strings.Contains(list, "bob") {
		t.Errorf("a name stays that nobody could forget: %s", list)
	}
	same(t, "due", []string{"two"}, outboundTexts(r.get(`{"claimant":"pod"}`)))
	for body, want := range map[string]bus.OutboundCancelReply{
		fmt.Sprintf(`{"id":%d}`, waiting.ID): {Success: true, State: bus.OutboundCancelled},
		fmt.Sprintf(`{"id":%d}`, claimed.ID): {State: bus.OutboundClaimed, Error: "a bot is saying the line"},
		`{"id":4711}`:                        {State: bus.OutboundUnknown, Error: "id: the channel has no line of this ID"},
		`{}`:                                 {Error: "id: expected the ID of a line"},
		`{"id":"x"}`:                         {Error: "id: expected a whole number"},
		`{"id":1,"asker":"` + strings.Repeat("x", 300) + `"}`: {Error: "asker: 300 bytes, expected at most 256"},
	} {
		reply := cancel(body)
		if strings.Contains(body, "xxx") || !strings.Contains(body, `"id":`) || body == `{"id":"x"}` {
			if reply.Success || reply.Error == "" {
				t.Errorf("%.20s: %+v", body, reply)
			}
			continue
		}
		if reply != want {
			t.Errorf("%s: %+v, want %+v", body, reply, want)
		}
	}
}

// slowPeople is a store that takes long to find out about people.
type slowPeople struct {
	*sqlite.Store

	began, goOn chan struct{}
}

func (s slowPeople) wait(ctx context.Context) {
	s.began <- struct{}{}
	select {
	case <-s.goOn:
	case <-ctx.Done(): // the test has failed
	}
}

func (s slowPeople) PersonRows(
	ctx context.Context, channel store.Channel, name string, after store.PersonPosition, limit int,
) ([]store.PersonRow, error) {
	s.wait(ctx)
	return s.Store.PersonRows(ctx, channel, name, after, limit)
}

func (s slowPeople) ForgetPerson(
	ctx context.Context, channel store.Channel, name string, until time.Time,
) (map[string]int64, error) {
	s.wait(ctx)
	return s.Store.ForgetPerson(ctx, channel, name, until)
}

// TestARequestAboutAPersonKeepsNobodyWaiting checks that events are stored and other requests are answered while all
// lines of the channel are read for an export or to forget somebody, which is done for one at a time.
func TestARequestAboutAPersonKeepsNobodyWaiting(t *testing.T) {
	r := newRig(t)
	slow := slowPeople{began: make(chan struct{}, 1), goOn: make(chan struct{})}
	r.ready(r.start(func(o *database.ServiceOptions) {
		o.Open = func(ctx context.Context) (_ store.Store, err error) {
			slow.Store, err = sqlite.Open(ctx, r.path)
			return slow, err
		}
	}))
	replies, err := r.client.SubscribeSync(r.client.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []bus.Suffix{bus.PeopleExport, bus.PeopleForget} {
		body := []byte(`{"username":"nobody"}`)
		for range 2 {
			if err := r.client.PublishRequest("rosey."+string(suffix), replies.Subject, body); err != nil {
				t.Fatal(err)
			}
		}
		<-slow.began
		r.publish(bus.MessageLog, fmt.Sprintf(`{"username":"alice","message":%q}`, suffix))
		r.waitUntilStored()
		if texts := r.texts(); !slices.Contains(texts, string(suffix)) {
			t.Errorf("stored %q", texts)
		}
		if len(slow.began) > 0 {
			t.Errorf("%s: two at a time", suffix)
		}
		slow.goOn <- struct{}{}
		<-slow.began
		slow.goOn <- struct{}{}
		for range 2 {
			reply, err := replies.NextMsg(10 * time.Second)
			if err != nil || !strings.Contains(string(reply.Data), `"success":true`) {
				t.Fatalf("%s: %v, %v", suffix, reply, err)
			}
		}
	}
}

// TestDeadLettersOfOthersStay checks that to forget a user of a channel drops no dead letters about a user of the same
// name elsewhere, or whose name has the user's as a part.
func TestDeadLettersOfOthersStay(t *testing.T) {
	r := newRig(t)
	var letters []store.DeadLetter
	for id, payload := range map[string]string{
		"own":     `{"username":"ann","message":"x"}`, // of the service's own channel
		"server":  `{"username":"ann","message":"x","channel":"music","server":"https://other.example"}`,
		"part":    `{"username":"annette","message":"x",`,
		"part 2":  `{"username":"joann-ann_","message":"x",`,
		"dropped": `{"username":"Ann","message":"x","channel":"Music"}`,
		"broken":  `{"username":"joann","message":"says aNN`,
	} {
		letters = append(letters,
			store.NewDeadLetter("db.message.log", id, "too early", []byte(payload), time.Now()))
	}
	r.addDeadLetters(letters...)
	r.ready(r.start(func(o *database.ServiceOptions) {
		o.Listed = func() ([]store.Channel, error) {
			return []store.Channel{
				{Server: movies.Server, Name: "music"}, {Server: "https://other.example", Name: "music"},
			}, nil
		}
	}))
	reply := ask[bus.PeopleForgetReply](r, bus.PeopleForget, `{"username":"ann","channel":"music"}`)
	if !reply.Success || reply.Removed[bus.PeopleDeadLetter] != 2 {
		t.Errorf("forget: %+v", reply)
	}
	want := []string{"deadLetter"} // that of the own channel
	if got := r.exported("ann"); !slices.Equal(got, want) {
		t.Errorf("exported %v, want %v", got, want)
	}
	for _, word := range []string{"annette", "joann-ann_"} {
		if got := r.exported(word); !slices.Equal(got, want) {
			t.Errorf("exported %v about %s, want %v", got, word, want)
		}
	}
}
