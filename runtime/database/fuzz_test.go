package database

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// decodable are the subjects of events in a fixed order.
var decodable = slices.Sorted(maps.Keys(factDecoders))

// FuzzEvent decodes any payload on any subject without a panic. Every error is errIncomplete or errInvalid, and the
// store applies every event or returns ErrRejected.
func FuzzEvent(f *testing.F) {
	for _, payload := range []string{
		`{"username":"alice","channel":"m","server":"https://cytu.be/","timestamp":1763700000.25}`,
		`{"username":"alice","message":"<b>hi</b> \u0000 \ud800 🍿","timestamp":"1e400"}`,
		`{"chat_count":3,"connected_count":9}`, `{"chat_count":-1,"connected_count":null}`, `{"chat_count":"7"}`,
		`{"status_data":{"bot_name":"Rosey","bot_rank":3,"bot_afk":0,"playlist_items":12,"bot_connected":true}}`,
		`{"status_data":{"current_media_title":["x"],"bot_rank":1e308}}`,
		`{"username":"mod","command":"kick","args":"bob","result":"error","error":null}`,
		`{"username":5,"message":true}`, `{"username":" "}`, `{}`, `null`, `[]`, `"x"`, ``, `{"timestamp":-1}`, `{"a":1`,
	} {
		for at := range decodable {
			f.Add(uint8(at), []byte(payload))
		}
	}
	opened, err := sqlite.Open(f.Context(), filepath.Join(f.TempDir(), "rosey.db"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = opened.Close() })
	d := decoder{own: store.Channel{Server: "https://cytu.be", Name: "m"}, ids: bus.NewIDs(time.Now())}
	f.Fuzz(func(t *testing.T, at uint8, data []byte) {
		arrived := time.Now()
		suffix := decodable[int(at)%len(decodable)]
		event, err := d.event(bus.Message{Suffix: suffix, Data: data, Time: arrived}, "")
		if err != nil && !errors.Is(err, errInvalid) && !errors.Is(err, errIncomplete) {
			t.Errorf("%s: %v, want errIncomplete or errInvalid", suffix, err)
		}
		if event.Fact == nil {
			return
		}
		if event.ID == "" || event.Channel.Name == "" || event.At.After(arrived.Add(maxSkew)) {
			t.Errorf("%s: %+v", suffix, event)
		}
		if err := opened.Apply(t.Context(), []store.Event{event}); err != nil && !errors.Is(err, store.ErrRejected) {
			t.Errorf("%s: %+v: %v", suffix, event, err)
		}
	})
}
