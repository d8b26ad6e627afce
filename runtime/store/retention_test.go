package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/store"
)

func TestRetentionRules(t *testing.T) {
	now := time.UnixMilli(1763700000000).UTC()
	ago := func(hours int) time.Time { return now.Add(-time.Duration(hours) * time.Hour) }
	for name, test := range map[string]struct {
		retention store.Retention
		want      []store.PruneRule
	}{
		"defaults": {store.Retention{}, []store.PruneRule{
			{store.PruneKV, now}, {store.PruneChat, ago(150)}, {store.PruneUserCounts, ago(720)},
			{store.PruneOutbound, ago(168)}, {store.PruneDeadLetters, ago(720)},
		}},
		"some for ever": {
			store.Retention{Chat: -1, UserCounts: 48 * time.Hour, Outbound: -1, DeadLetters: -1},
			[]store.PruneRule{{store.PruneKV, now}, {store.PruneUserCounts, ago(48)}},
		},
		"too short": {
			store.Retention{Chat: 1, UserCounts: -1, Outbound: time.Minute, DeadLetters: -1},
			[]store.PruneRule{{store.PruneKV, now}, {store.PruneChat, ago(1)}, {store.PruneOutbound, ago(1)}},
		},
	} {
		if diff := cmp.Diff(test.want, test.retention.Rules(now)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestRetentionIsValidated(t *testing.T) {
	for _, good := range []store.Retention{{}, {Chat: time.Hour, UserCounts: -1}} {
		if err := good.Validate(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for field, bad := range map[string]store.Retention{
		"chat": {Chat: 1}, "userCounts": {UserCounts: time.Minute}, "outbound": {Outbound: time.Hour - 1},
		"deadLetters": {DeadLetters: 1},
	} {
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), "retention "+field+":") {
			t.Errorf("%+v: %v, want an error that names %s", bad, err, field)
		}
	}
}
