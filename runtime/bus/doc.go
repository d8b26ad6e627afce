// Package bus is the NATS side of the runtime: the connection, the subjects and JSON bodies on the wire, requests and
// replies to them, and the stream of events.
//
// # Subjects and bodies
//
// The bot publishes what happens in the channel as events, and sends requests to the database service. Each subject is
// a prefix, by which several bots share a NATS server, and a [Suffix]; subjects.go lists those of the database service,
// and [Events] which of them are events. These subjects and bodies are those of Rosey-Robot 0.5 (the Python bot) with
// optional fields added, so an unmodified Python bot or Python database service is a valid peer. The bodies of events
// are in events.go and media.go, those of requests and replies in the files named after their subject: requests.go for
// those of the Python bot, outbound.go, queries.go, people.go and processes.go.
//
// A bot answers requests itself too (channelstate.go, channelcommands.go), publishes what the server sends to
// subscribers, and exchanges messages with plugins on subjects of their own ([PluginSubjects]).
//
// [Requester] sends a request and tells an absent service from one that refuses. [Serve] replies to requests whose body
// says nothing, and [Discovery] makes a process known to `nats micro`.
//
// Every event has an ID, which the header [MsgIDHeader] carries, and is stored once for each ID, however often it is
// published. That makes it safe to publish again what could not be confirmed. The Python service knows no IDs, and
// shows that by replies without [IDsHeader].
//
// # Connection
//
// [Conn] is a nats.Conn that never gives up: it waits for a server that is absent, and tries again after a refusal. It
// does not buffer while it is disconnected; package publisher does. The credentials and the certificates are files in
// mounted Secrets. They are read before every attempt, by a dialer that nats.go calls first, and checked every second;
// when they change, Conn reconnects. What nats.go reports by callbacks becomes one [status.Check] and one log line for
// each change of it, in connState.
//
// # The stream
//
// A JetStream stream makes events durable: it keeps them until a database service has stored them. [Binding] finds out,
// once for each connection, whether events go to the stream or by core NATS, and creates or updates the stream. Bots
// and services do so independently and come to the same result. With the mode "auto" a server without JetStream means
// core NATS. That must be certain: a server that does not respond, or a cluster that is still starting, is waited for.
// Once bound to a stream, a Binding never falls back to core NATS, because durable events must not silently become
// non-durable.
//
// A stream acknowledges every message on its subjects, requests too. If somebody else's stream covers the subjects of
// requests, its acknowledgement reaches the requester before the service's reply. [Requester] recognizes that and
// returns a [StreamError].
package bus
