package cytube

import (
	"testing"

	"github.com/coder/websocket"

	"rosey.dev/rosey/runtime/status"
)

func TestKickReasons(t *testing.T) {
	for said, want := range map[string]Error{
		"be nice":                           {Reason: status.ReasonKicked, Message: "kicked from the channel: be nice"},
		"":                                  {Reason: status.ReasonKicked, Message: "no reason given"},
		"Duplicate login":                   {Reason: status.ReasonDuplicateLogin},
		"You're banned!":                    {Reason: status.ReasonBanned, Message: "from the channel: You're banned!"},
		"You are banned from this channel.": {Reason: status.ReasonBanned},
		"Your IP is globally banned.":       {Reason: status.ReasonBanned},
		"Too many connections from your IP address": {Reason: status.ReasonConnectionLimited},
		"Invalid channel name":                      {Reason: status.ReasonChannelRefused},
	} {
		checkError(t, kickError(Kick{Reason: said}), want)
	}
}

// TestKickBeforeTheJoin closes the connection before the client has sent its request, which then fails: the kick is the
// reason, not the failure.
func TestKickBeforeTheJoin(t *testing.T) {
	server := serveSocket(t, func(ws *websocket.Conn) {
		write(t, ws, openFrame)
		read(t, ws)
		write(t, ws, connectFrame)
		write(t, ws, `42["kick",{"reason":"Too many connections from your IP address"}]`)
	})
	options := Options{Server: server, Channel: "movienight", Frame: func(string) {}}
	conn, err := connect(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.workers.Wait() // the connection has ended
	checkError(t, conn.join(t.Context(), options), Error{Reason: status.ReasonConnectionLimited})
}

// TestServerEndsTheConnection distinguishes a disconnect from the namespace, after which the server sends nothing more
// on the open WebSocket, from a broken connection.
func TestServerEndsTheConnection(t *testing.T) {
	for last, want := range map[string]status.Reason{
		"41": status.ReasonDisconnected,
		"1":  status.ReasonDisconnected,
		"":   status.ReasonServerUnreachable,
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
