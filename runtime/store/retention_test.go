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
			{Kind: store.PruneKV, Before: now}, {Kind: store.PruneDeadLetters, Before: ago(720)},
			{Kind: store.PruneChat, Before: ago(150)}, {Kind: store.PruneUserCounts, Before: ago(720)},
			{Kind: store.PruneMedia, Before: ago(2160)}, {Kind: store.PruneOutbound, Before: ago(168)},
		}},
		"some for ever": {
			store.Retention{Chat: -1, UserCounts: 48 * time.Hour, Media: -1, Outbound: -1},
			[]store.PruneRule{
				{Kind: store.PruneKV, Before: now}, {Kind: store.PruneDeadLetters, Before: ago(720)},
				{Kind: store.PruneUserCounts, Before: ago(48)},
			},
		},
		"too short": {
			store.Retention{Chat: 1, UserCounts: -1, Media: time.Second, Outbound: time.Minute},
			[]store.PruneRule{
				{Kind: store.PruneKV, Before: now}, {Kind: store.PruneDeadLetters, Before: ago(720)},
				{Kind: store.PruneChat, Before: ago(1)}, {Kind: store.PruneMedia, Before: ago(1)},
				{Kind: store.PruneOutbound, Before: ago(1)},
			},
		},
	} {
		if diff := cmp.Diff(test.want, test.retention.Rules(now)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
