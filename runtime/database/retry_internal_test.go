package database

import (
	"encoding/json"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// TestRequestsThatMaySucceedLaterSaySo asks while too many queries wait, and then without a store.
func TestRequestsThatMaySucceedLaterSaySo(t *testing.T) {
	ctx, engine := t.Context(), openEngine(t)
	ask := func(suffix bus.Suffix, body string) bus.QueryError {
		t.Helper()
		answer, _ := engine.Answer(ctx, Request{Suffix: suffix, Data: []byte(body), Time: time.Now()})
		data, err := json.Marshal(answer)
		var reply bus.QueryError
		if err == nil {
			err = json.Unmarshal(data, &reply)
		}
		if err != nil || reply.Success || reply.Error == "" {
			t.Errorf("%s: %s, %v", suffix, data, err)
		}
		return reply
	}
	engine.queries.waiting.all.Store(maxWaitingQueries)
	if reply := ask(bus.QueryChat, "{}"); !reply.Retry || !reply.Busy {
		t.Errorf("too many queries: %+v", reply)
	}
	engine.queries.waiting.all.Store(0)
	if reply := ask(bus.QueryChat, `{"limit":-1}`); reply.Retry || reply.Busy {
		t.Errorf("a mistake may be tried again: %+v", reply)
	}
	if err := engine.store.Close(); err != nil {
		t.Fatal(err)
	}
	for suffix, body := range map[bus.Suffix]string{
		bus.QueryChat: "{}", bus.QueryUsers: "{}", bus.QueryMedia: "{}", bus.QueryChannelStats: "{}",
		bus.QueryUserStats: `{"username":"nora"}`, bus.DeadList: "{}", bus.DeadDrop: `{"ids":[1]}`,
		bus.OutboundPut: `{"message":"hi"}`, bus.OutboundCancel: `{"id":1}`,
	} {
		if reply := ask(suffix, body); !reply.Retry || reply.Busy {
			t.Errorf("%s without a store: %+v", suffix, reply)
		}
	}
}
