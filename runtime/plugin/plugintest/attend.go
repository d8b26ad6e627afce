package plugintest

import (
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// Attend is for a plugin in another process, in whatever language: at a NATS server, it answers what the plugin
// requests, as the Room of Open does. The plugin is in the channel ChannelName, and conn is a connection of the bot's.
// Whoever has started the plugin calls it. Of the Room, that works which needs no plugin in this process: what was
// said, done and stored, and what is refused.
func Attend(t T, conn *bus.Conn, subjects bus.Subjects, name string) *Room {
	t.Helper()
	r := newRoom(t, subjects)
	r.clock.now = time.Now()
	r.conn = conn
	own, err := subjects.Plugin(ChannelName, name)
	if err != nil {
		t.Fatalf("the plugin: %v", err)
	}
	r.subjects = own
	r.serve()
	return r
}
