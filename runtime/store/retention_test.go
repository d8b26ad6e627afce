package store_test

import (
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
			{store.PruneKV, now}, {store.PruneDeadLetters, ago(720)},
			{store.PruneChat, ago(150)}, {store.PruneUserCounts, ago(720)},
			{store.PruneOutbound, ago(168)},
		}},
		"some for ever": {
			store.Retention{Chat: -1, UserCounts: 48 * time.Hour, Outbound: -1},
			[]store.PruneRule{
				{store.PruneKV, now}, {store.PruneDeadLetters, ago(720)}, {store.PruneUserCounts, ago(48)},
			},
		},
		"too short": {
			store.Retention{Chat: 1, UserCounts: -1, Outbound: time.Minute},
			[]store.PruneRule{
				{store.PruneKV, now}, {store.PruneDeadLetters, ago(720)}, {store.PruneChat, ago(1)},
				{store.PruneOutbound, ago(1)},
			},
		},
	} {
		if diff := cmp.Diff(test.want, test.retention.Rules(now)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
