package controllers

import (
	"context"
	"fmt"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// listLog records the lists that are read without an index.
type listLog struct {
	client.Client

	lists      int
	unindexed  []string
	everywhere []string // without a namespace
}

func (l *listLog) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	var applied client.ListOptions
	applied.ApplyOptions(options)
	kind := fmt.Sprintf("%T", list)
	l.lists++
	if applied.FieldSelector == nil {
		l.unindexed = append(l.unindexed, kind)
	}
	if applied.Namespace == "" {
		l.everywhere = append(l.everywhere, kind)
	}
	return l.Client.List(ctx, list, options...)
}

// A list without an index looks at all objects of a namespace, so that the work for many RoseyBots would grow with the
// square of their number.
func TestAReconcileLooksAtNoObjectsOfOtherRoseyBots(t *testing.T) {
	bot := newBot(newNamespace(t))
	create(t, bot)
	waitReconciled(t, bot)
	log, reconciler := &listLog{Client: rig.operator.Client}, *rig.operator
	reconciler.Client, reconciler.memories = log, newMemories()
	found, err := reconciler.observe(t.Context(), bot)
	if err != nil {
		t.Fatal(err)
	}
	if len(log.unindexed)+len(log.everywhere) > 0 {
		t.Errorf("lists without an index: %v, of all namespaces: %v", log.unindexed, log.everywhere)
	}
	if log.lists < len(kinds) || len(found.Objects) == 0 {
		t.Errorf("%d lists found %d objects: this test showed nothing", log.lists, len(found.Objects))
	}
}
