package database

import (
	"errors"
	"log/slog"
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

// FuzzPluginKV answers any request of a plugin about its keys without a panic: with a reply, and with an error only if
// it is about a channel that is not served.
func FuzzPluginKV(f *testing.F) {
	for _, body := range []string{
		`{"key":"k","value":{"a":[1,null,"\u0000\ud800"]},"ttl_seconds":1e-300,"if_revision":0}`,
		`{"key":"n","by":9223372036854775807}`, `{"key":"n","by":-9223372036854775808}`, `{"key":"k","value":"x"}`,
		`{"prefix":"\u00e9","after":"k","limit":1,"values":true}`, `{"limit":-1}`, `{"key":"k","if_revision":-1}`,
		`{"key":"k","if_revision":1e99}`, `{"key":"","value":1}`, `{"key":"\u0000"}`, `{}`, `[]`, `null`, ``, `{"key":"k`,
	} {
		for at := range bus.PluginKVOps {
			f.Add("m", "dice", uint8(at), []byte(body))
		}
	}
	f.Add("M", "dice", uint8(0), []byte(`{}`))
	f.Add("*", ">", uint8(1), []byte(`{}`))
	f.Add("m", "plugin/dice", uint8(2), []byte(`{}`))
	opened, err := sqlite.Open(f.Context(), filepath.Join(f.TempDir(), "rosey.db"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = opened.Close() })
	own := store.Channel{Server: "https://cytu.be", Name: "m"}
	e := NewEngine(EngineOptions{Channel: own, Log: slog.New(slog.DiscardHandler)})
	e.store = opened
	f.Fuzz(func(t *testing.T, channel, plugin string, at uint8, data []byte) {
		op := bus.PluginKVOps[int(at)%len(bus.PluginKVOps)]
		suffix := bus.Suffix("db.kv." + channel + "." + plugin + "." + string(op))
		if _, _, _, ok := bus.PluginOfKV(suffix); !ok {
			return // another number of tokens
		}
		reply, err := e.Answer(t.Context(), Request{Suffix: suffix, Data: data, Time: time.Now()})
		if err != nil && !errors.Is(err, errNotServed) || reply == nil {
			t.Errorf("%s: %v, %v", suffix, reply, err)
		}
		if _, err := bus.Encode(reply); err != nil {
			t.Errorf("%s: %v", suffix, err)
		}
	})
}

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
