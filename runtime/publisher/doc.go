// Package publisher sends the bot's events to the database, in the order in which they happened, and buffers them while
// no route is available.
//
// [Publisher.Publish] encodes an event and appends it to a bounded queue in memory; it never waits for the network. A
// full queue drops its oldest message: when the database comes back, the present state matters more than an old one.
// [Publisher.Run] sends the front of the queue, one batch after the other, by the first of these routes that takes it:
//
//   - The stream. Messages are published to JetStream and removed from the queue when the stream has acknowledged them,
//     whether a database service is running or not. bus.Binding decides whether there is a stream, and creates it.
//   - Core NATS, where there is no stream. A message without a subscriber is discarded and none is acknowledged. So the
//     publisher waits for a database service, publishes a batch, and then sends a request to the service on the same
//     connection: its reply means that it has stored the batch, because the service replies only after it has stored
//     what came before. This is not true of several services, which share the events: see package database.
//   - The store ([Options.Store]): a database that this process has open itself. In direct mode it is the only route.
//     With NATS it is the fallback, used when no other route has worked for a second.
//
// A batch that could not be confirmed is published again. Each message has an ID, in the header Nats-Msg-Id. The
// service and the store keep one message for each ID, the stream within its duplicate window, so the repetition is
// harmless, also by another route. The order is that of Publish; only messages that are repeated may reach the database
// behind later ones.
//
// Whether a database service answers is a status.Check. One that has answered is asked again after five seconds, so
// that one that ends or hangs is reported even if the stream takes the events, or there are none. With a stream it is
// reported five seconds later, because nothing waits for a service that only restarts.
//
// The Python bot's database service does not know IDs and would store a repeated message twice. A service shows in its
// replies whether it knows them. One that does not gets every message once by core NATS, even where there is a stream,
// which it would not read; messages on their way to it when the connection breaks are lost. The lines of chat that the
// CyTube server repeats on each join are not published to it again: neither those that this process has published, nor
// those of another process that the service returns as recent chat (replayed.go).
//
// Everything else that is lost is counted in rosey_bus_dropped_total: messages that a full queue dropped, and those too
// large for the server or the stream, which would block the ones behind them. The queue itself ends with the process,
// so call [Publisher.Flush] first.
package publisher
