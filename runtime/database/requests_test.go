package database_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
)

// exchange is a request and its reply in JSON.
type exchange struct {
	suffix     bus.Suffix
	body, want string
}

func (r *rig) exchange(all ...exchange) {
	r.t.Helper()
	for _, one := range all {
		sameJSON(r.t, string(one.suffix)+" "+one.body, one.want, r.request(one.suffix, one.body))
	}
}

func TestQueries(t *testing.T) {
	r := newRig(t)
	r.ready(r.start(listing("elsewhere")))
	empty := `{"high_water_mark":{"users":0,"timestamp":null},"high_water_connected":{"users":0,"timestamp":null},` +
		`"top_chatters":[],"total_users_seen":0,"success":true}`
	r.exchange(exchange{bus.QueryChannelStats, ``, empty})

	const began = 1763700000
	publish := func(suffix bus.Suffix, second int, fields string) {
		r.publish(suffix, fmt.Sprintf(`{"timestamp":%d,%s}`, began+second, fields))
	}
	publish(bus.StatsHighWater, 1, `"chat_count":3,"connected_count":5`)
	publish(bus.StatsHighWater, 2, `"chat_count":2,"connected_count":9`)
	publish(bus.UserJoined, 10, `"username":"alice"`)
	publish(bus.UserLeft, 40, `"username":"alice"`)
	publish(bus.UserJoined, 200, `"username":"Alice"`)
	for i := range 12 {
		for n := range i + 1 {
			publish(bus.MessageLog, 300+n, fmt.Sprintf(`"username":"user%02d","message":"%d"`, i, n))
		}
	}
	publish(bus.MessageLog, 250, `"username":"ALICE","message":"hi"`)
	var top []string
	for i := 11; i >= 2; i-- {
		top = append(top, fmt.Sprintf(`{"username":"user%02d","chat_lines":%d}`, i, i+1))
	}
	stats := `{"high_water_mark":{"users":3,"timestamp":1763700001},` +
		`"high_water_connected":{"users":9,"timestamp":1763700002},` +
		`"top_chatters":[` + strings.Join(top, ",") + `],"total_users_seen":13,"success":true}`
	const alice = `{"username":"ALICE","first_seen":1763700010,"last_seen":1763700250,"total_chat_lines":1,` +
		`"total_time_connected":30,"current_session_start":1763700200,"success":true,"found":true}`
	const nobody = `{"username":"nobody","success":true,"found":false,"message":"nobody of this name has been seen"}`
	r.exchange(
		exchange{bus.QueryChannelStats, `{}`, stats},
		exchange{bus.QueryChannelStats, `not JSON`, stats},
		exchange{bus.QueryChannelStats, `{"channel":"Movies"}`, stats},
		exchange{bus.QueryChannelStats, `{"channel":"elsewhere"}`, empty},
		exchange{bus.QueryUserStats, `{"username":"alice"}`, alice},
		exchange{bus.QueryUserStats, `{"username":"nobody"}`, nobody},
		exchange{bus.QueryUserStats, `{"username":"nobody","channel":"Movies"}`, nobody},
		exchange{bus.QueryUserStats, `{}`, `{"success":false,"error":"username: expected a name"}`},
		exchange{bus.QueryUserStats, `{"username":""}`, `{"success":false,"error":"username: expected a name"}`},
		exchange{bus.QueryUserStats, `{"username"`, `{"success":false,"error":"Invalid request format"}`},
		exchange{bus.QueryUserStats, `[]`, `{"success":false,"error":"Invalid request format"}`},
	)
	publish(bus.UserLeft, 260, `"username":"alice"`)
	r.exchange(exchange{bus.QueryUserStats, `{"username":"alice"}`, `{"username":"alice","first_seen":1763700010,` +
		`"last_seen":1763700260,"total_chat_lines":1,"total_time_connected":90,"current_session_start":null,` +
		`"success":true,"found":true}`})
}

func TestKeyValue(t *testing.T) {
	r := newRig(t)
	r.ready(r.start(listing("elsewhere")))
	done := `{"success":true,"data":{}}`
	absent := `{"success":true,"data":{"exists":false}}`
	exists := func(value string) string { return `{"success":true,"data":{"exists":true,"value":` + value + `}}` }
	list := func(keys string, count int, truncated bool) string {
		return fmt.Sprintf(`{"success":true,"data":{"keys":[%s],"count":%d,"truncated":%v}}`, keys, count, truncated)
	}
	r.exchange(
		exchange{bus.KVGet, `{"plugin_name":"p","key":"k"}`, absent},
		exchange{bus.KVSet, `{"plugin_name":"p","key":"k","value":{"a":1},"ttl_seconds":60}`, done},
		exchange{bus.KVGet, `{"plugin_name":"p","key":"k"}`, exists(`{"a":1}`)},
		exchange{bus.KVGet, `{"plugin_name":"p","key":"k","channel":"elsewhere"}`, absent},
		exchange{bus.KVGet, `{"plugin_name":"q","key":"k"}`, absent},
		exchange{bus.KVSet, `{"plugin_name":"p","key":"k_2","value":null,"ttl_seconds":null}`, done},
		exchange{bus.KVGet, `{"plugin_name":"p","key":"k_2"}`, exists(`null`)},
		exchange{bus.KVSet, `{"plugin_name":"p","key":"k%2","value":"\u0000\ud83c\udfac","ttl_seconds":0}`, done},
		exchange{bus.KVGet, `{"plugin_name":"p","key":"k%2"}`, exists(`"\u0000\ud83c\udfac"`)},
		exchange{bus.KVSet, `{"plugin_name":"p","key":"K","value":1.50,"ttl_seconds":-5}`, done},
		exchange{bus.KVSet, `{"plugin_name":"p","key":"number","value":12345678901234567890,"ttl_seconds":"60"}`, done},
		exchange{bus.KVGet, `{"plugin_name":"p","key":"number"}`, exists(`12345678901234567890`)},
		exchange{bus.KVList, `{"plugin_name":"p","prefix":"k","limit":1}`, list(`"k"`, 1, true)},
		exchange{bus.KVList, `{"plugin_name":"p","prefix":"k_"}`, list(`"k_2"`, 1, false)},
		exchange{bus.KVList, `{"plugin_name":"p"}`, list(`"K","k","k%2","k_2","number"`, 5, false)},
		exchange{bus.KVList, `{"plugin_name":"p","limit":0}`, list(``, 0, true)},
		exchange{bus.KVList, `{"plugin_name":"p","limit":-3}`, list(``, 0, true)},
		exchange{bus.KVList, `{"plugin_name":"q"}`, list(``, 0, false)},
		exchange{bus.KVSet, `{"plugin_name":7,"key":1763700000,"value":1,"ttl_seconds":1800.5}`, done},
		exchange{bus.KVGet, `{"plugin_name":"7","key":"1763700000"}`, exists(`1`)},
		exchange{bus.KVList, `{"plugin_name":7,"prefix":17,"limit":5.0}`, list(`"1763700000"`, 1, false)},
		exchange{bus.KVDelete, `{"plugin_name":"p","key":"k"}`, `{"success":true,"data":{"deleted":true}}`},
		exchange{bus.KVDelete, `{"plugin_name":"p","key":"k"}`, `{"success":true,"data":{"deleted":false}}`},
	)

	r.exchange(exchange{bus.KVSet, `{"plugin_name":"p","key":"brief","value":1,"ttl_seconds":1}`, done})
	natstest.Eventually(t, "the value to expire", func() bool {
		return r.request(bus.KVGet, `{"plugin_name":"p","key":"brief"}`) == absent
	})
}

func TestKeyValueErrors(t *testing.T) {
	r := newRig(t)
	r.ready(r.start())
	value := func(bytes int) string { return `"` + strings.Repeat("ü", (bytes-2)/2) + `"` }
	set := func(rest string) string { return `{"plugin_name":"p","key":"k",` + rest + `}` }
	for _, test := range []struct {
		suffix  bus.Suffix
		body    string
		code    bus.KVCode
		message string
	}{
		{bus.KVSet, `{"plugin_name":"p","key":"k"}`, bus.KVMissingField, "value"},
		{bus.KVSet, `{"plugin_name":"","key":"k","value":1}`, bus.KVMissingField, "plugin_name"},
		{bus.KVSet, `{"key":"k","value":1}`, bus.KVMissingField, "plugin_name"},
		{bus.KVSet, `{"plugin_name":"p","key":"","value":1}`, bus.KVMissingField, "key"},
		{bus.KVGet, `{"plugin_name":"p"}`, bus.KVMissingField, "key"},
		{bus.KVDelete, `{}`, bus.KVMissingField, "plugin_name"},
		{bus.KVList, `{}`, bus.KVMissingField, "plugin_name"},
		{bus.KVSet, `{"plugin_name"`, bus.KVInvalidJSON, "byte"},
		{bus.KVSet, `[]`, bus.KVInvalidJSON, "object"},
		{bus.KVGet, ``, bus.KVInvalidJSON, "object"},
		{bus.KVSet, "{\"plugin_name\":\"p\",\"key\":\"\xff\",\"value\":1}", bus.KVInvalidJSON, "UTF-8"},
		{bus.KVSet, set(`"value":NaN`), bus.KVInvalidJSON, "byte"},
		{bus.KVSet, set(`"value":1,"ttl_seconds":"soon"`), bus.KVValidationError, "ttl_seconds: expected a number"},
		{bus.KVSet, set(`"value":1,"ttl_seconds":true`), bus.KVValidationError, "ttl_seconds: expected a number"},
		{bus.KVSet, set(`"value":1,"ttl_seconds":9000000000`), bus.KVValidationError, "ttl_seconds"},
		{bus.KVSet, `{"plugin_name":true,"key":"k","value":1}`, bus.KVValidationError, "plugin_name: expected a text"},
		{bus.KVSet, `{"plugin_name":"p","key":"a\u0000","value":1}`, bus.KVValidationError, "key"},
		{bus.KVSet, `{"plugin_name":"p","key":"` + strings.Repeat("k", 513) + `","value":1}`, bus.KVValidationError, "key"},
		{bus.KVList, `{"plugin_name":"p","limit":"many"}`, bus.KVValidationError, "limit: expected a whole number"},
		{bus.KVSet, set(`"value":` + value(bus.MaxKVValueBytes+2)), bus.KVValueTooLarge, "65538"},
	} {
		var reply bus.KVReply[json.RawMessage]
		body := r.request(test.suffix, test.body)
		if err := json.Unmarshal([]byte(body), &reply); err != nil || reply.Error == nil || reply.Success {
			t.Errorf("%s %.100s: %s, want an error", test.suffix, test.body, body)
			continue
		}
		if reply.Error.Code != test.code || !strings.Contains(reply.Error.Message, test.message) {
			t.Errorf("%s %.100s: %v, want %s with %q", test.suffix, test.body, reply.Error, test.code, test.message)
		}
	}
	largest := set(`"value" : [ ` + value(bus.MaxKVValueBytes-2) + ` ]`)
	r.exchange(exchange{bus.KVSet, largest, `{"success":true,"data":{}}`})
}

// Rows that do not fit into a message are left out of the reply.
func TestLargeRepliesAreTruncated(t *testing.T) {
	r := newRig(t)
	r.ready(r.start())
	text := strings.Repeat("x", 16_000)
	for i := range 60 {
		r.publish(bus.MessageLog, fmt.Sprintf(`{"username":"a","message":"%d %s","timestamp":%d}`, i, text, 1763700000+i))
	}
	var lines []bus.RecentLine
	if err := json.Unmarshal([]byte(r.request(bus.StatsRecentChat, `{"limit":1000}`)), &lines); err != nil {
		t.Fatal(err)
	}
	if len(lines) < 25 || len(lines) > 33 || lines[len(lines)-1].Timestamp != 1763700059 {
		t.Errorf("%d lines, want the newest 512 KiB", len(lines))
	}
}
