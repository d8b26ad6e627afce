package bus_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/bus"
)

// A reply of many small elements does not become many times its size in memory.
func TestOutboundMessagesAreBounded(t *testing.T) {
	var got bus.OutboundMessages
	if err := json.Unmarshal([]byte("["+strings.Repeat("{},", 300_000)+"{}]"), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1000 {
		t.Errorf("%d messages, expected 1000", len(got))
	}
}

func TestOutboundMessages(t *testing.T) {
	for text, want := range map[string]bus.OutboundMessages{
		`[{"id":1,"message":"a"},{"id":2,"message":"b"}]`: {{ID: 1, Message: "a"}, {ID: 2, Message: "b"}},
		"[]":   nil,
		"null": nil,
	} {
		got := bus.OutboundMessages{{ID: 7}}
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	for _, text := range []string{`{}`, `"a"`, `7`, `[7]`, `[{"id":"x"}]`} {
		var got bus.OutboundMessages
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}
