package bus_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/bus"
)

// The bodies that the Python bot sends and reads.
var pythonBodies = []struct {
	name  string
	body  string
	value any // the decoded body; encoded again, it must have all fields of body
}{
	{"user", `{"username":"alice"}`, &bus.UserPayload{Username: "alice"}},
	{"message", `{"username":"alice","message":"hi"}`, &bus.MessagePayload{Username: "alice", Message: "hi"}},
	{"user count", `{"chat_count":5,"connected_count":5}`, &bus.UserCountPayload{ChatCount: 5, ConnectedCount: 5}},
	{"high water", `{"chat_count":5,"connected_count":7}`, &bus.HighWaterPayload{ChatCount: 5, ConnectedCount: new(7)}},
	{
		"status", `{"status_data":{"bot_name":"bot","bot_rank":3,"bot_afk":0,"channel_name":"c",` +
			`"current_chat_users":5,"current_connected_users":7,"bot_start_time":1763700000,"bot_connected":1,` +
			`"playlist_items":2,"current_media_title":"T","current_media_duration":90}}`,
		&bus.StatusPayload{StatusData: bus.StatusData{
			BotName: new("bot"), BotRank: new(3.0), BotAFK: new(bus.Flag(false)), ChannelName: new("c"),
			CurrentChatUsers: new(5), CurrentConnectedUsers: new(7), BotStartTime: new(int64(1763700000)),
			BotConnected: new(bus.Flag(true)), PlaylistItems: new(2), CurrentMediaTitle: new("T"),
			CurrentMediaDuration: new(int64(90)),
		}},
	},
	{"mark sent", `{"message_id":1}`, &bus.OutboundSentPayload{MessageID: new(int64(1))}},
	{"outbound get", `{"limit":20,"max_retries":3}`, &bus.OutboundGetRequest{Limit: new(20), MaxRetries: new(3)}},
	{
		"outbound reply, 0.5", `[{"id":1,"timestamp":1763700000,"message":"m","retry_count":0,"last_error":null}]`,
		&[]bus.OutboundMessage{{ID: 1, Timestamp: 1763700000, Message: "m"}},
	},
	{
		"outbound reply, later", `[{"id":1,"timestamp":1763700000,"message":"m","retry_count":0,"error_message":null}]`,
		&[]bus.OutboundMessage{{ID: 1, Timestamp: 1763700000, Message: "m"}},
	},
	{
		"recent chat reply", `[{"timestamp":1763700000,"username":"alice","message":"hi"}]`,
		&[]bus.RecentLine{{Timestamp: 1763700000, Username: "alice", Message: "hi"}},
	},
	{
		"user stats reply", `{"username":"alice","first_seen":1,"last_seen":2,"total_chat_lines":3,` +
			`"total_time_connected":4,"current_session_start":null,"success":true,"found":true}`,
		&bus.UserStatsReply{
			Username: "alice", FirstSeen: 1, LastSeen: 2, TotalChatLines: 3, TotalTimeConnected: 4, Success: true, Found: true,
		},
	},
	{
		"channel stats reply", `{"high_water_mark":{"users":3,"timestamp":1},"high_water_connected":{"users":9,` +
			`"timestamp":1},"top_chatters":[{"username":"alice","chat_lines":3}],"total_users_seen":1,"success":true}`,
		&bus.ChannelStatsReply{
			HighWaterMark:      bus.HighWaterMark{Users: 3, Timestamp: new(int64(1))},
			HighWaterConnected: bus.HighWaterMark{Users: 9, Timestamp: new(int64(1))},
			TopChatters:        []bus.TopChatter{{Username: "alice", ChatLines: 3}},
			TotalUsersSeen:     1, Success: true,
		},
	},
	{
		"private command", `{"username":"mod","command":"say","args":"hi","result":"success","error":null}`,
		&bus.PMCommandPayload{Username: "mod", Command: "say", Args: "hi", Result: "success"},
	},
	{
		"kv set reply", `{"success":true,"data":{}}`,
		&bus.KVReply[bus.KVSetData]{Success: true, Data: &bus.KVSetData{}},
	},
	{
		"kv get reply", `{"success":true,"data":{"exists":true,"value":{"a":1}}}`,
		&bus.KVReply[bus.KVGetData]{Success: true, Data: &bus.KVGetData{Exists: true, Value: json.RawMessage(`{"a":1}`)}},
	},
	{
		"kv get of a null", `{"success":true,"data":{"exists":true,"value":null}}`,
		&bus.KVReply[bus.KVGetData]{Success: true, Data: &bus.KVGetData{Exists: true, Value: json.RawMessage(`null`)}},
	},
	{
		"kv list reply", `{"success":true,"data":{"keys":["k"],"count":1,"truncated":true}}`,
		&bus.KVReply[bus.KVListData]{Success: true, Data: &bus.KVListData{Keys: []string{"k"}, Count: 1, Truncated: true}},
	},
	{
		"kv error", `{"success":false,"error":{"code":"MISSING_FIELD","message":"..."}}`,
		&bus.KVReply[bus.KVSetData]{Error: &bus.KVError{Code: bus.KVMissingField, Message: "..."}},
	},
}

func TestPythonBodiesDecode(t *testing.T) {
	for _, test := range pythonBodies {
		t.Run(test.name, func(t *testing.T) {
			got := reflect.New(reflect.TypeOf(test.value).Elem()).Interface()
			if err := json.Unmarshal([]byte(test.body), got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.value, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOurBodiesHaveAllThatPythonReads(t *testing.T) {
	for _, test := range pythonBodies {
		t.Run(test.name, func(t *testing.T) {
			encoded, err := json.Marshal(test.value)
			if err != nil {
				t.Fatal(err)
			}
			var ours, theirs any
			if err := json.Unmarshal(encoded, &ours); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(test.body), &theirs); err != nil {
				t.Fatal(err)
			}
			if !contains(ours, theirs) {
				t.Errorf("%s does not contain %s", encoded, test.body)
			}
		})
	}
}

// contains reports whether whole has every field of part with the same value.
func contains(whole, part any) bool {
	switch part := part.(type) {
	case map[string]any:
		object, ok := whole.(map[string]any)
		for key, value := range part {
			field, exists := object[key]
			ok = ok && exists && contains(field, value)
		}
		return ok
	case []any:
		array, ok := whole.([]any)
		ok = ok && len(array) == len(part)
		for i := 0; ok && i < len(part); i++ {
			ok = contains(array[i], part[i])
		}
		return ok
	default:
		return whole == part
	}
}

func TestOriginIsOptionalOnTheWire(t *testing.T) {
	encoded, err := json.Marshal(bus.UserPayload{Username: "alice"})
	if err != nil || string(encoded) != `{"username":"alice"}` {
		t.Errorf("without origin: %s, %v", encoded, err)
	}
	at := time.UnixMilli(1763700000250)
	encoded, err = json.Marshal(bus.UserPayload{Username: "alice", Origin: bus.Origin{
		Server: "https://cytu.be", Channel: "movies", Timestamp: bus.Seconds{Time: at},
	}})
	want := `{"username":"alice","server":"https://cytu.be","channel":"movies","timestamp":1763700000.250}`
	if err != nil || string(encoded) != want {
		t.Errorf("with origin: %s, %v", encoded, err)
	}
}

func TestSecondsDecode(t *testing.T) {
	for text, want := range map[string]int64{
		"1763700000": 1763700000000, "1763700000.123": 1763700000123, "1763700000.9996": 1763700001000,
		"1.7637e9": 1763700000000, "0": 0,
	} {
		var got bus.Seconds
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.UnixMilli() != want {
			t.Errorf("%s = %d, %v; want %d", text, got.UnixMilli(), err, want)
		}
	}
	for _, text := range []string{`"1763700000"`, "-1", "1e300", "true", "{}"} {
		var got bus.Seconds
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s decoded into %v, want an error", text, got)
		}
	}
	var none bus.Seconds
	if err := json.Unmarshal([]byte("null"), &none); err != nil || !none.IsZero() {
		t.Errorf("null = %v, %v; want the zero time", none, err)
	}
}

func TestFlag(t *testing.T) {
	for text, want := range map[string]bus.Flag{
		"0": false, "1": true, "true": true, "false": false, "2.5": true, "null": false,
	} {
		var got bus.Flag
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s = %v, %v; want %v", text, got, err, want)
		}
	}
	var got bus.Flag
	if err := json.Unmarshal([]byte(`"yes"`), &got); err == nil {
		t.Error(`"yes" decoded, want an error`)
	}
	if encoded, err := json.Marshal([]bus.Flag{true, false}); err != nil || string(encoded) != "[1,0]" {
		t.Errorf("encoded %s, %v; want the numbers that Python sends", encoded, err)
	}
}
