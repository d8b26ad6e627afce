// Package cytube is a client for a channel of CyTube 3 (https://github.com/calzoneman/sync): frames in, typed events
// out.
//
// [Dial] requests the channel's socket server from the site, opens a WebSocket there and does the handshakes of
// Engine.IO protocol 4 and Socket.IO protocol 5, without starting on HTTP polling as browsers do. It joins the channel
// and logs in. [Conn.Next] then returns every event in order: an event of a type in events.go, [Unknown] for any other
// name, and [Malformed] for a frame that cannot be decoded. What the server sends on joining, such as the last lines of
// chat, comes before the event [Joined].
//
// A connection has two goroutines: one reads and answers the server's pings, the other sends pings, since the server's
// own heartbeat takes minutes to notice a broken connection. Both end with the connection, and [Conn.Close] waits for
// them. Once a connection has ended, Next returns an [*Error] whose Reason is one of package status. CyTube has no
// error codes, so that reasons are derived from its English messages; the recordings of a real server in
// hack/cytube/simulator/testdata show them.
//
// A server is not trusted. Everything that it sends is bounded in size, number and time (limits.go), so that a bot
// keeps within its default memory limit: lists are decoded while they are read, and a server that sends faster than
// events are handled has to wait. The client follows no redirect to another host or scheme. To a site on https it opens
// encrypted sockets only, and for a site on the Internet none in a private network. What the server says is put on
// short printable lines in errors.
//
// Requests such as [Conn.Say] are not acknowledged. The server answers with the event that everybody receives, or with
// one of the events that refuse a request, or not at all.
package cytube
