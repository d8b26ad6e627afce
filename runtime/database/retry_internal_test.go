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
	retry := func(suffix bus.Suffix, body string) bool {
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
		return reply.Retry
	}
	engine.queries.waiting.all.Store(maxWaitingQueries)
	if !retry(bus.QueryChat, "{}") {
		t.Error("too many queries: nothing says that it may be tried again")
	}
	engine.queries.waiting.all.Store(0)
	if retry(bus.QueryChat, `{"limit":-1}`) {
		t.Error("a mistake may be tried again")
	}
	if err := engine.store.Close(); err != nil {
		t.Fatal(err)
	}
	for suffix, body := range map[bus.Suffix]string{
		bus.QueryChat: "{}", bus.QueryUsers: "{}", bus.QueryMedia: "{}", bus.QueryChannelStats: "{}",
		bus.QueryUserStats: `{"username":"nora"}`, bus.DeadList: "{}", bus.DeadDrop: `{"ids":[1]}`,
		bus.OutboundPut: `{"message":"hi"}`, bus.OutboundCancel: `{"id":1}`,
	} {
		if !retry(suffix, body) {
			t.Errorf("%s without a store: nothing says that it may be tried again", suffix)
		}
	}
}
