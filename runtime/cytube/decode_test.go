package cytube

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// TestDecodeCaptures decodes every frame of a real server in the captures.
func TestDecodeCaptures(t *testing.T) {
	want := map[string]map[string]int{
		"channel-password-asked":   {"needPassword": 2, "login": 1, "rank": 3, "userlist": 1, "usercount": 1},
		"channel-password-given":   {"login": 1, "rank": 3, "userlist": 1, "usercount": 1, "addUser": 1},
		"channel-password-wrong":   {"needPassword": 1, "rank": 1},
		"chat-flood-throttled":     {"chatMsg": 22, "login": 1, "userlist": 1, "changeMedia": 1, "cooldown": 5},
		"connect-rate-limited":     {},
		"duplicate-login":          {"chatMsg": 2, "kick": 1, "userlist": 2, "usercount": 2, "addUser": 1},
		"evening":                  {"chatMsg": 16, "addUser": 4, "userLeave": 4, "setAFK": 2, "usercount": 8, "noflood": 0},
		"join-invalid-channel":     {"errorMsg": 1, "kick": 1},
		"kicked":                   {"kick": 1, "userlist": 2, "setPermissions": 1},
		"login-guest-name-in-use":  {"login": 1, "userlist": 1},
		"login-guest-rate-limited": {"login": 2, "chatMsg": 15, "addUser": 1},
		"login-invalid-name":       {"login": 1, "setPlaylistMeta": 1},
		"login-wrong-password":     {"login": 1, "setPlaylistMeta": 1},
		"muted":                    {"noflood": 1, "setUserMeta": 2, "chatMsg": 2, "setUserRank": 1},
	}
	files, err := filepath.Glob(filepath.Join(captureDir, "*.jsonl"))
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d captures, expected %d (%v)", len(files), len(want), err)
	}
	for name, counts := range want {
		t.Run(name, func(t *testing.T) {
			got := map[string]int{}
			for _, frame := range readCapture(t, name) {
				if frame.Dir == "in" {
					countEvent(t, frame.Frame, got)
				}
			}
			for event, count := range counts {
				if got[event] != count {
					t.Errorf("%d × %s, want %d", got[event], event, count)
				}
			}
		})
	}
}

func countEvent(t *testing.T, frame string, counts map[string]int) {
	t.Helper()
	got, err := decodePacket([]byte(frame))
	if err != nil {
		t.Fatalf("frame %s: %v", frame, err)
	}
	if got.kind == packetIgnored {
		t.Errorf("frame %s is ignored", frame)
	}
	if got.kind != packetEvent {
		return
	}
	received, err := decodeEvent(got.payload)
	if err != nil {
		t.Fatalf("frame %s: %v", frame, err)
	}
	counts[received.Name]++
	if _, unknown := received.Event.(Unknown); unknown && !unused[received.Name] {
		t.Errorf("the client does not know %s", received.Name)
	}
}

func TestDecodeEvent(t *testing.T) {
	said := time.UnixMilli(1795421885821).UTC()
	tests := map[string]Event{
		`["chatMsg",{"username":"alice","msg":"waves &amp; <b>x</b>","meta":{"addClass":"action","action":true},` +
			`"time":1795421885821}]`: ChatMessage{User: "alice", HTML: "waves &amp; <b>x</b>", Kind: "action", Time: said},
		`["chatMsg",{"username":"a","msg":"x","time":-1}]`:              ChatMessage{User: "a", HTML: "x"},
		`["chatMsg",{"username":"a","msg":"x","time":1e99}]`:            ChatMessage{User: "a", HTML: "x"},
		`["chatMsg",{"username":"a","msg":"x","meta":{"shadow":true}}]`: ChatMessage{User: "a", HTML: "x", Shadow: true},
		`["pm",{"username":"alice","to":"rosey","msg":"psst","meta":{},"time":1795421885821}]`: PM{
			From: "alice", To: "rosey", HTML: "psst", Time: said},
		`["addUser",{"name":"bob","rank":1.5,"profile":{},"meta":{"afk":true,"muted":true}}]`: AddUser{
			User{Name: "bob", Rank: 1.5, AFK: true, Muted: true}},
		`["userLeave",{"name":"bob"}]`:                         UserLeave{"bob"},
		`["userlist",[]]`:                                      UserList{Users: []User{}},
		`["userlist",[{"name":"bob","rank":5,"meta":{}}]]`:     UserList{[]User{{Name: "bob", Rank: 5}}},
		`["usercount",7]`:                                      UserCount{7},
		`["setUserRank",{"name":"bob","rank":3}]`:              SetUserRank{"bob", 3},
		`["setUserMeta",{"name":"b","meta":{"afk":true}}]`:     SetUserMeta{"b", true, false},
		`["setAFK",{"name":"bob","afk":true}]`:                 SetAFK{"bob", true},
		`["rank",-1]`:                                          Rank{-1},
		`["login",{"success":true,"name":"Bob","guest":true}]`: Login{Success: true, Name: "Bob"},
		`["login",{"success":false,"error":"no"}]`:             Login{Error: "no"},
		`["needPassword",true]`:                                NeedPassword{true},
		`["kick",{"reason":"be nice"}]`:                        Kick{"be nice"},
		`["listPlaylists",[]]`:                                 Unknown{},
		`["cancelNeedPassword"]`:                               Unknown{},
	}
	checkDecoded(t, tests)
}

func checkDecoded(t *testing.T, tests map[string]Event) {
	t.Helper()
	for payload, want := range tests {
		got, err := decodeEvent([]byte(payload))
		if err != nil {
			t.Errorf("%s: %v", payload, err)
			continue
		}
		if diff := cmp.Diff(want, got.Event); diff != "" {
			t.Errorf("%s (-want +got):\n%s", payload, diff)
		}
	}
}

func TestDecodeMalformed(t *testing.T) {
	tests := map[string]FrameError{
		"":                             {Kind: "empty frame"},
		"x":                            {Kind: "Engine.IO packet type", Size: 1},
		"4":                            {Kind: "message without a Socket.IO packet", Size: 1},
		"4x{}":                         {Kind: "Socket.IO packet type", Size: 4},
		"42":                           {Kind: "event", Size: 0},
		"42{}":                         {Kind: "event", Size: 2},
		"42[]":                         {Kind: "event", Size: 2},
		`42[null]`:                     {Kind: "event", Size: 6},
		`42[1,2]`:                      {Kind: "event", Size: 5},
		`42["chatMsg","secret words"]`: {Kind: "chatMsg", Size: 14},
		`42["usercount"]`:              {Kind: "usercount"},
		`42["usercount",null]`:         {Kind: "usercount", Size: 4},
		`42["usercount",1000001]`:      {Kind: "usercount", Size: 7},
		`42["usercount",-1]`:           {Kind: "usercount", Size: 2},
		`42["userlist",[1]]`:           {Kind: "userlist", Size: 3},
	}
	for frame, want := range tests {
		err := decodeFrame(frame)
		got, ok := errors.AsType[*FrameError](err)
		if !ok {
			t.Errorf("%s: error %v, want a FrameError", frame, err)
			continue
		}
		if *got != want {
			t.Errorf("%s: %+v, want %+v", frame, *got, want)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows what was in the frame: %v", err)
		}
	}
}

func decodeFrame(frame string) error {
	got, err := decodePacket([]byte(frame))
	if err != nil || got.kind != packetEvent {
		return err
	}
	_, err = decodeEvent(got.payload)
	return err
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(captureDir, "*.jsonl"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		for _, recorded := range readCapture(f, strings.TrimSuffix(filepath.Base(file), ".jsonl")) {
			f.Add([]byte(recorded.Frame))
		}
	}
	for _, frame := range []string{
		"", "2probe", "41", "42/x,7[\"a\"]", `4212["usercount",1]`, `42["chatMsg",{"time":1e400}]`,
	} {
		f.Add([]byte(frame))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		err := decodeFrame(string(frame))
		if _, ok := errors.AsType[*FrameError](err); err != nil && !ok {
			t.Errorf("%q: %v is not a FrameError", frame, err)
		}
	})
}

func FuzzEncode(f *testing.F) {
	f.Add("hello <b>&amp;</b> \u2028 \"quoted\" 🍿")
	f.Fuzz(func(t *testing.T, text string) {
		frame, err := encodeEvent("chatMsg", chatLine{Msg: text})
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodePacket(frame)
		if err != nil || got.kind != packetEvent {
			t.Fatalf("%q: kind %d, %v", frame, got.kind, err)
		}
		received, err := decodeEvent(got.payload)
		if err != nil {
			t.Fatal(err)
		}
		if said, ok := received.Event.(ChatMessage); utf8.ValidString(text) && (!ok || said.HTML != text) {
			t.Errorf("%q came back as %v", text, received.Event)
		}
	})
}

// The database service refuses a status with such a rank, so every status became a dead letter.
func TestNoRankIsBeyondWhatAStatusCanHave(t *testing.T) {
	for payload, want := range map[string]Event{
		`["rank",1e300]`:  Rank{Rank: maxRank},
		`["rank",-1e300]`: Rank{Rank: -1},
		`["setUserRank",{"name":"rosey","rank":1e20}]`: SetUserRank{Name: "rosey", Rank: maxRank},
		`["addUser",{"name":"rosey","rank":2.5}]`:      AddUser{User: User{Name: "rosey", Rank: 2.5}},
	} {
		got, err := decodeEvent([]byte(payload))
		if err != nil || !cmp.Equal(want, got.Event) {
			t.Errorf("%s: %+v, %v", payload, got.Event, err)
		}
	}
}
