package database_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/store"
)

// keyReply is the reply to a request of a plugin about its keys.
type keyReply = bus.KVReply[bus.PluginKVData]

// ask sends a request of a plugin, which may be in any channel.
func (r *rig) ask(channel, plugin string, op bus.PluginKVOp, body string) keyReply {
	r.t.Helper()
	var reply keyReply
	data := r.request(bus.Suffix("db.kv."+channel+"."+plugin+"."+string(op)), body)
	if err := json.Unmarshal([]byte(data), &reply); err != nil || reply.Success == (reply.Error != nil) {
		r.t.Fatalf("%s %.200s: %.200s, %v", op, body, data, err)
	}
	return reply
}

// done is ask for a request of the plugin dice in the channel movies, which must succeed.
func (r *rig) done(op bus.PluginKVOp, body string) bus.PluginKVData {
	r.t.Helper()
	reply := r.ask("movies", "dice", op, body)
	if !reply.Success {
		r.t.Fatalf("%s %.200s: %v", op, body, reply.Error)
	}
	return *reply.Data
}

// refusedKey fails the test unless a request fails with a code and a message.
func (r *rig) refusedKey(channel, plugin string, op bus.PluginKVOp, body string, code bus.KVCode, message string) {
	r.t.Helper()
	reply := r.ask(channel, plugin, op, body)
	if reply.Success || reply.Error.Code != code || !strings.Contains(reply.Error.Message, message) {
		r.t.Errorf("%s.%s.%s %.100s: %+v %v, want %s with %q", channel, plugin, op, body, reply.Data, reply.Error, code,
			message)
	}
}

func TestKeysOfAPlugin(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.ready(r.start())
	first := r.done(bus.PluginKVSet, `{"key":"best","value":{"n": 6}}`)
	if !first.Exists || first.Revision == 0 {
		t.Errorf("set: %+v", first)
	}
	got := r.done(bus.PluginKVGet, `{"key":"best"}`)
	same(t, "get", bus.PluginKVData{Exists: true, Value: json.RawMessage(`{"n":6}`), Revision: first.Revision}, got)
	same(t, "absent", bus.PluginKVData{}, r.done(bus.PluginKVGet, `{"key":"Best"}`))

	stale := fmt.Sprintf(`{"key":"best","value":null,"if_revision":%d}`, first.Revision)
	second := r.done(bus.PluginKVSet, stale)
	r.refusedKey("movies", "dice", bus.PluginKVSet, stale, bus.KVConflict, fmt.Sprint(second.Revision))
	r.refusedKey("movies", "dice", bus.PluginKVSet, `{"key":"best","value":1,"if_revision":0}`, bus.KVConflict,
		fmt.Sprint(second.Revision))
	r.refusedKey("movies", "dice", bus.PluginKVDelete, stale, bus.KVConflict, fmt.Sprint(second.Revision))
	same(t, "null", "null", string(r.done(bus.PluginKVGet, `{"key":"best"}`).Value))
	same(t, "deleted", true, r.done(bus.PluginKVDelete, `{"key":"best"}`).Exists)
	same(t, "deleted again", false, r.done(bus.PluginKVDelete, `{"key":"best"}`).Exists)
	third := r.done(bus.PluginKVSet, `{"key":"best","value":7,"if_revision":0}`)
	if third.Revision <= second.Revision {
		t.Errorf("revision %d of a key that was made again, after %d", third.Revision, second.Revision)
	}

	sum := r.done(bus.PluginKVAdd, `{"key":"rolls/alice","by":3}`)
	same(t, "a new counter", "3", string(sum.Value))
	same(t, "a counter", "-2", string(r.done(bus.PluginKVAdd, `{"key":"rolls/alice","by":-5}`).Value))
	r.done(bus.PluginKVSet, `{"key":"rolls/bob","value":9}`)
	r.done(bus.PluginKVSet, `{"key":"rolls/gone","value":9,"ttl_seconds":1e-6}`)
	list := r.done(bus.PluginKVList, `{"prefix":"rolls/","values":true}`)
	if len(list.Entries) != 2 || list.Truncated || string(list.Entries[1].Value) != "9" ||
		list.Entries[0].Revision <= sum.Revision {
		t.Errorf("list: %+v", list)
	}
	list = r.done(bus.PluginKVList, `{"limit":1}`)
	if len(list.Entries) != 1 || list.Entries[0].Key != "best" || !list.Truncated || list.Entries[0].Value != nil {
		t.Errorf("the first page: %+v", list)
	}
	list = r.done(bus.PluginKVList, `{"after":"best"}`)
	if len(list.Entries) != 2 || list.Truncated {
		t.Errorf("the page after it: %+v", list)
	}
	list = r.done(bus.PluginKVList, `{"prefix":"nothing"}`)
	if list.Entries == nil || len(list.Entries) != 0 {
		t.Errorf("no keys: %+v", list)
	}
}

// Whatever the body says, only the names in the subject count, and no plugin reads what is another's: neither those
// with subjects of their own nor those that name themselves in the body.
func TestKeysOfAPluginAreItsOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.ready(r.start(listing("music")))
	r.done(bus.PluginKVSet, `{"key":"k","value":"secret"}`)
	r.exchange(
		exchange{bus.KVSet, `{"plugin_name":"dice","key":"k","value":"python"}`, `{"success":true,"data":{}}`},
		exchange{bus.KVList, `{"plugin_name":"dice"}`, `{"success":true,"data":{"keys":["k"],"count":1,"truncated":false}}`},
		exchange{bus.KVGet, `{"plugin_name":"dice","key":"k"}`, `{"success":true,"data":{"exists":true,"value":"python"}}`},
	)
	for suffix, body := range map[bus.Suffix]string{
		bus.KVGet: `"key":"k"`, bus.KVSet: `"key":"k","value":1`, bus.KVDelete: `"key":"k"`, bus.KVList: `"prefix":""`,
	} {
		reply := r.request(suffix, fmt.Sprintf(`{"plugin_name":%q,%s}`, store.SubjectPlugin("dice"), body))
		if !strings.Contains(reply, `"code":"VALIDATION_ERROR"`) || !strings.Contains(reply, "plugin_name: plugin/dice") {
			t.Errorf("%s reaches the keys of a plugin: %s", suffix, reply)
		}
	}
	for _, other := range []struct{ channel, plugin string }{
		{"movies", "dice2"}, {"movies", "quotes"}, {"music", "dice"},
	} {
		body := `{"key":"k","plugin_name":"dice","plugin":"dice","name":"dice","channel":"movies","server":"https://cytu.be"}`
		if reply := r.ask(other.channel, other.plugin, bus.PluginKVGet, body); !reply.Success || reply.Data.Exists {
			t.Errorf("%+v reads %+v %v", other, reply.Data, reply.Error)
		}
		reply := r.ask(other.channel, other.plugin, bus.PluginKVList, `{"prefix":""}`)
		if !reply.Success || len(reply.Data.Entries) > 0 {
			t.Errorf("%+v lists %+v", other, reply.Data)
		}
		r.ask(other.channel, other.plugin, bus.PluginKVDelete, body)
	}
	same(t, "afterwards", `"secret"`, string(r.done(bus.PluginKVGet, `{"key":"k"}`).Value))

	const get = bus.PluginKVGet
	for _, plugin := range []string{"Dice", "di-ce", "*", "a\x1bb", strings.Repeat("x", 31), "é"} {
		r.refusedKey("movies", plugin, get, `{"key":"k"}`, bus.KVValidationError, "lower-case letters and digits")
	}
	for _, channel := range []string{"Movies", "other", "*", "movies\u202e", strings.Repeat("x", 2000)} {
		r.refusedKey(channel, "dice", get, `{"key":"k"}`, bus.KVValidationError, "not served by this database service")
	}
	if got := r.count(s, bus.PluginKV(get), "refused"); got != 5 {
		t.Errorf("%v requests about channels that are not served are counted, want 5", got)
	}
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "rosey_database_messages_total" && strings.Contains(family.String(), "dice") {
			t.Error("a label of a metric is what a client has chosen")
		}
	}
}

// Two RoseyBots may share a database service for channels of the same name on different servers. Then a subject does
// not say whose keys a request is about.
func TestKeysOfTwoChannelsOfOneNameAreNobodys(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.ready(r.start(func(o *database.ServiceOptions) {
		o.Listed = func() ([]store.Channel, error) {
			return []store.Channel{{Server: "https://other.example", Name: "Movies"}, onCyTube("music")}, nil
		}
	}))
	r.refusedKey("movies", "dice", bus.PluginKVSet, `{"key":"k","value":1}`, bus.KVValidationError,
		"which two channels on different servers have")
	if reply := r.ask("music", "dice", bus.PluginKVSet, `{"key":"k","value":1}`); !reply.Success {
		t.Errorf("another channel: %v", reply.Error)
	}
}

func TestInvalidRequestsOfPluginsAreExplained(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.ready(r.start())
	long := strings.Repeat("k", bus.MaxKVKeyBytes+1)
	const get, set, del, list, add = bus.PluginKVGet, bus.PluginKVSet, bus.PluginKVDelete, bus.PluginKVList,
		bus.PluginKVAdd
	r.done(set, `{"key":"text","value":"x"}`)
	r.done(set, `{"key":"most","value":9223372036854775807}`)
	for _, test := range []struct {
		op            bus.PluginKVOp
		body, message string
		code          bus.KVCode
	}{
		{get, ``, "not a JSON object", bus.KVInvalidJSON},
		{get, `[]`, "not a JSON object", bus.KVInvalidJSON},
		{get, `null`, "not a JSON object", bus.KVInvalidJSON},
		{get, `{"key":"k"`, "byte", bus.KVInvalidJSON},
		{get, "{\"key\":\"\xff\"}", "UTF-8", bus.KVInvalidJSON},
		{get, `{}`, "key: expected a name", bus.KVMissingField},
		{get, `{"key":""}`, "key: expected a name", bus.KVMissingField},
		{get, `{"key":7}`, "key: expected a text", bus.KVValidationError},
		{get, `{"key":["k"]}`, "key: expected a text", bus.KVValidationError},
		{get, `{"key":"a\u0000"}`, "key: expected no NUL", bus.KVValidationError},
		{get, `{"key":"` + long + `"}`, "key: 513 bytes, expected at most 512", bus.KVValidationError},
		{get, `{"key":"k","if_revision":1}`, "if_revision: expected none with get", bus.KVValidationError},
		{set, `{"key":"k"}`, "value: expected any JSON", bus.KVMissingField},
		{set, `{"key":"k","value":nothing}`, "byte", bus.KVInvalidJSON},
		{set, `{"value":1}`, "key: expected a name", bus.KVMissingField},
		{set, `{"key":"k","value":1,"if_revision":-1}`, "if_revision: -1, expected", bus.KVValidationError},
		{set, `{"key":"k","value":1,"if_revision":1.5}`, "if_revision: expected a whole number", bus.KVValidationError},
		{set, `{"key":"k","value":1,"if_revision":"1"}`, "if_revision: expected a whole number", bus.KVValidationError},
		{set, `{"key":"k","value":1,"ttl_seconds":-1}`, "ttl_seconds: -1, expected", bus.KVValidationError},
		{set, `{"key":"k","value":1,"ttl_seconds":1e300}`, "ttl_seconds: 1e+300, expected at most", bus.KVValidationError},
		{set, `{"key":"k","value":1,"ttl_seconds":"soon"}`, "ttl_seconds: expected a number", bus.KVValidationError},
		{set, `{"key":"k","value":"` + strings.Repeat("x", bus.MaxKVValueBytes) + `"}`, "value: 65538 bytes",
			bus.KVValueTooLarge},
		{add, `{"by":1}`, "key: expected a name", bus.KVMissingField},
		{add, `{"key":"k","by":1.5}`, "by: expected a whole number", bus.KVValidationError},
		{add, `{"key":"k","by":9223372036854775808}`, "by: expected a whole number", bus.KVValidationError},
		{add, `{"key":"k","by":1,"if_revision":0}`, "if_revision: expected none with add", bus.KVValidationError},
		{add, `{"key":"text","by":1}`, "not a whole number", bus.KVValidationError},
		{add, `{"key":"most","by":1}`, "the sum is not", bus.KVValidationError},
		{del, `{}`, "key: expected a name", bus.KVMissingField},
		{list, `{"limit":-1}`, "limit: -1, expected 1 to 1000", bus.KVValidationError},
		{list, `{"limit":1001}`, "limit: 1001, expected 1 to 1000", bus.KVValidationError},
		{list, `{"limit":"5"}`, "limit: expected a whole number", bus.KVValidationError},
		{list, `{"values":1}`, "values: expected true or false", bus.KVValidationError},
		{list, `{"prefix":"` + long + `"}`, "prefix: 513 bytes", bus.KVValidationError},
		{list, `{"after":"\u0000"}`, "after: expected no NUL", bus.KVValidationError},
	} {
		r.refusedKey("movies", "dice", test.op, test.body, test.code, test.message)
	}
	if list := r.done(list, `{}`); len(list.Entries) != 2 {
		t.Errorf("stored in spite of an error: %+v", list.Entries)
	}
}

// TestPluginsAreLimitedTogether checks that keys of plugins with subjects of their own and others count together.
func TestPluginsAreLimitedTogether(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.ready(r.start(limited(config.Limits{KVKeys: 2, KVBytes: 100_000, KVPlugins: 2, KVChannelBytes: 150_000})))
	large := strings.Repeat("x", 60_000)
	set := func(key, value string) string { return fmt.Sprintf(`{"key":%q,"value":%q}`, key, value) }
	r.done(bus.PluginKVSet, set("a", large))
	r.refusedKey("movies", "dice", bus.PluginKVSet, set("b", large), bus.KVQuotaExceeded, "database.limits.kvBytes")
	r.done(bus.PluginKVAdd, `{"key":"b","by":1}`)
	r.refusedKey("movies", "dice", bus.PluginKVAdd, `{"key":"c","by":1}`, bus.KVQuotaExceeded, "database.limits.kvKeys")
	r.exchange(exchange{bus.KVSet, fmt.Sprintf(`{"plugin_name":"dice","key":"a","value":%q}`, large),
		`{"success":true,"data":{}}`})
	r.refusedKey("movies", "trivia", bus.PluginKVSet, set("a", "x"), bus.KVQuotaExceeded, "database.limits.kvPlugins")
	r.done(bus.PluginKVSet, set("a", large[:50_000]))
	reply := r.request(bus.KVSet, fmt.Sprintf(`{"plugin_name":"dice","key":"b","value":%q}`, large[:39_600]))
	if !strings.Contains(reply, "database.limits.kvChannelBytes") {
		t.Errorf("above the limit of the channel: %.200s", reply)
	}
	for _, limit := range []string{"kvBytes", "kvKeys", "kvPlugins", "kvChannelBytes"} {
		same(t, limit+" counted", 1.0, r.refused(s, limit))
	}
}

// A page has as many values as fit into a message of the NATS server, and a value that does not is an error, not a
// request without a reply.
func TestLargeValuesOfPluginsArePaged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.ready(r.start())
	text := strings.Repeat("x", 60_000)
	for i := range 20 {
		r.done(bus.PluginKVSet, fmt.Sprintf(`{"key":"%02d","value":"%s"}`, i, text))
	}
	after, read, pages := "", 0, 0
	for more := true; more; pages++ {
		page := r.done(bus.PluginKVList, fmt.Sprintf(`{"values":true,"after":%q}`, after))
		if len(page.Entries) == 0 {
			t.Fatalf("page %d is empty", pages)
		}
		read, more, after = read+len(page.Entries), page.Truncated, page.Entries[len(page.Entries)-1].Key
	}
	if read != 20 || pages < 3 || pages > 4 {
		t.Errorf("%d keys on %d pages", read, pages)
	}

	r.stop(s)
	small := newRig(t, func(o *server.Options) { o.MaxPayload = 70_000 })
	small.path = r.path
	s = small.ready(small.start())
	same(t, "a page in small messages", 1, len(small.done(bus.PluginKVList, `{"values":true}`).Entries))
	small.stop(s)
	smaller := newRig(t, func(o *server.Options) { o.MaxPayload = 8 << 10 })
	smaller.path = r.path
	smaller.ready(smaller.start())
	for op, body := range map[bus.PluginKVOp]string{bus.PluginKVGet: `{"key":"00"}`, bus.PluginKVList: `{"values":true}`} {
		smaller.refusedKey("movies", "dice", op, body, bus.KVValueTooLarge, `"00": 60002 bytes, expected at most`)
	}
	if list := smaller.done(bus.PluginKVList, `{}`); len(list.Entries) != 20 {
		t.Errorf("%d keys without values", len(list.Entries))
	}
}

// In direct mode the database answers the same requests.
func TestDirectAnswersPlugins(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := r.direct(func(o *database.DirectOptions) { o.Registerer = prometheus.NewRegistry() })
	runDirect(t, d.Run)
	subject := func(op bus.PluginKVOp) bus.Suffix { return bus.Suffix("db.kv.movies.dice." + string(op)) }
	var reply keyReply
	if err := d.Request(t.Context(), subject(bus.PluginKVAdd), bus.PluginKVRequest{Key: "n", By: 2}, &reply); err != nil {
		t.Fatal(err)
	}
	if !reply.Success || string(reply.Data.Value) != "2" {
		t.Errorf("%+v", reply)
	}
	reply = keyReply{}
	if err := d.Request(t.Context(), "db.kv.other.dice.get", bus.PluginKVRequest{Key: "n"}, &reply); err != nil ||
		reply.Success {
		t.Errorf("another channel: %+v, %v", reply, err)
	}
	for _, suffix := range []bus.Suffix{"db.kv.movies.dice.steal", "db.kv.dice.get", "db.kv.movies.dice.x.get"} {
		if err := d.Request(t.Context(), suffix, bus.PluginKVRequest{Key: "n"}, &reply); err == nil {
			t.Errorf("%s is answered", suffix)
		}
	}
}
