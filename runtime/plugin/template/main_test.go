package main

import (
	"testing"

	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/plugin/plugintest"
)

func TestExamples(t *testing.T) { plugintest.Examples(t, newGreeter) }

func TestGreetsOnce(t *testing.T) {
	room := plugintest.Open(t, newGreeter(), plugintest.Setting("greeting", "Hi"))
	room.As("bob", plugin.Guest).Joins()
	room.As("bob", plugin.Guest).Joins()
	room.As("carol", plugin.Guest).Joins()
	room.Hears(`^Hi, bob!$`)
	room.Hears(`^Hi, carol!$`)
	if lines := room.Lines(); len(lines) != 2 {
		t.Errorf("said %v", lines)
	}
	room.As("bob", plugin.Guest).Says("!hello there").ExpectsWrong("expected nothing")
}
