package database_test

import (
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
