package cytube

import (
	"testing"

	"github.com/coder/websocket"

	"rosey.dev/rosey/runtime/config"
)

func TestKickReasons(t *testing.T) {
	for said, want := range map[string]Error{
		"be nice":                           {Reason: config.ReasonKicked, Message: "kicked from the channel: be nice"},
		"":                                  {Reason: config.ReasonKicked, Message: "no reason given"},
		"Duplicate login":                   {Reason: config.ReasonDuplicateLogin},
		"You're banned!":                    {Reason: config.ReasonBanned, Message: "from the channel: You're banned!"},
		"You are banned from this channel.": {Reason: config.ReasonBanned},
		"Your IP is globally banned.":       {Reason: config.ReasonBanned},
		"Too many connections from your IP address": {Reason: config.ReasonConnectionLimited},
		"Invalid channel name":                      {Reason: config.ReasonChannelRefused},
	} {
		checkError(t, kickError(Kick{Reason: said}), want)
	}
}

// TestHowTheServerEnds tells a namespace disconnect, after which nothing comes any more though the
// WebSocket stays open, from a connection that breaks.
func TestHowTheServerEnds(t *testing.T) {
	for last, want := range map[string]config.Reason{
		"41": config.ReasonDisconnected,
		"1":  config.ReasonDisconnected,
		"":   config.ReasonServerUnreachable,
	} {
		kinds := make(chan string, 8)
		server := serveSocket(t, func(ws *websocket.Conn) {
			admit(t, ws, openFrame)
			if last != "" {
				write(t, ws, last)
				_, _, _ = ws.Read(t.Context())
			}
		})
		conn := dialAnonymous(t, Options{Server: server, Frame: func(kind string) { kinds <- kind }})
		_, err := conn.Next(t.Context())
		checkError(t, err, Error{Reason: want})
		if kind := <-kinds; kind != "event" {
			t.Errorf("the user list counts as %s", kind)
		}
	}
}
