// Package database stores the events that bots publish and replies to their requests, over NATS or in the bot's own
// process.
//
// # Engine
//
// An [Engine] does the work and knows no transport. [Engine.Store] takes events: it decodes each payload once into a
// fact of the store, applies up to a batch of them in one transaction, and returns when all are stored. [Engine.Answer]
// takes one [Request] and returns the reply; its handlers are grouped by subject: statistics and chat (requests.go),
// lines to say (outbound.go), key-value pairs (keyvalue.go; pluginkeys.go for plugins with their own subjects) and
// maintenance (maintenance.go). Every rule about rows is the store's.
//
// If the store is not available, Store tries again until its context ends, and [Engine.StoreCheck] has the cause.
// Requests fail at once, because a client tries again itself, except reports of lines that were said.
//
// # Channels
//
// An engine serves its own channel and those of a list, and refuses messages for others (channels.go): whoever may
// publish must not be able to reach the other channels in the database. In a database that several services can use
// (store.ChannelOwners), each records at its start that it owns its channel, and receives no messages while another one
// does.
//
// # Transports
//
// A [Service] puts an engine behind NATS. Requests come by core NATS. The service also answers the NATS services
// protocol, so that `nats micro ls` lists it; without permission for the protocol's subjects it works unlisted.
// Events come from a JetStream stream if the [bus.Binding] has found one, else by core NATS in a queue group, never
// both.
//
// A reply goes to an inbox only ([bus.IsInbox]). A request with another reply subject is dropped and counted.
//
// A [Direct] is an engine in the bot's process. Its Store is a route of the bot's publisher, its Request replaces
// requests over NATS. It keeps the store open (Run), or opens it when it is used (RunOnDemand) for a [Fallback], which
// asks the service first. Calls wait for the store no longer than their contexts last; opening it goes on without them,
// because bringing the tables up to date may take longer than a request.
//
// # Order
//
// A Service handles everything in the order in which nats.go read it from the connection: one inbox, one worker. So
// over core NATS a reply also means that everything that the client published before, on the same connection, is
// stored: that is how a publisher knows what it can remove from its queue. This holds for one service. Several share
// the events of the queue group, and the reply of one confirms events that another has received: those that it has not
// stored are lost if it is killed. So without JetStream run one database service. With a stream the events are
// acknowledged by the stream, and requests may overtake them.
//
// Only maintenance runs beside the worker, since it may last long.
//
// # Acknowledgement
//
// A message of the stream is in flight from its delivery until it is stored, and only then acknowledged. Meanwhile the
// service reports it as in progress, so that the stream does not deliver it again while the store is unavailable. When
// the service stops, it returns what it could not store. An event that is delivered again is stored once, because its
// ID is in its row: that of its publisher or, for a message without one, the name of its place in the stream. A message
// over core NATS has no acknowledgement. If the inbox is full, in number or in bytes, messages are dropped and counted.
//
// The stream belongs to one database. The database's ID is in the metadata of stream and consumer, and a service with
// another database consumes nothing and reports SubjectConflict (streamowner.go).
//
// The Python bot publishes each event twice, without IDs. So of messages without an ID and with the same content every
// second one is not stored, if it comes within 100 ms. The service compares only what it received itself, so with a
// Python publisher there must be exactly one service.
//
// # Dead letters
//
// A message that cannot be decoded, or that the store rejects, becomes a dead letter with its payload and the reason,
// and counts as stored: delivering it again would fail again. A rejected batch is bisected until the failing event is
// alone. A request never becomes a dead letter: its reply says what is wrong. A request (bus.DeadRetry) stores
// one that a later version can decode.
//
// # Limits
//
// Whatever a client sends is compared with the limits of the configuration (limits.go, usage.go) before anything is
// stored. A message that is too large is refused by itself: an event becomes a dead letter, a request gets an error
// that names the limit. What would exceed a limit of what is stored is refused and counted, and becomes no dead letter.
// The store counts keys and outbound lines in the transaction that writes; rows and users of a channel are measured by
// maintenance and counted in memory in between. A reply is read within its size, because rows from before there were
// limits may be larger than the memory.
//
// # Retention
//
// Maintenance removes the rows whose retention has ended. A mistake in the configuration must not remove years within
// minutes: if the retention of rows ended more than a day ago, the removal is announced in the log and in the database,
// and begins a day later (retention.go). In daily operation that never happens.
//
// # Lines to say and the barrier
//
// A bot claims a line, says it in the channel, and publishes a report (sent or failed), an event like all others. The
// claim may expire, or the bot be restarted, while the report is still in the stream behind a backlog. If the line were
// handed out then, it would be said twice. So before it hands out a line that was claimed, the store requests a time
// until which all reports are stored ([StoredUntil]). It leaves out lines whose claim expired later, and those that the
// same claimant has claimed before. The barrier records a time and the stream's last sequence at that time, and is
// reached when the consumer's acknowledgement floor has reached that sequence. No request waits for it: until then its
// reply leaves out such lines and has all others.
//
// Over core NATS there is no backlog in a stream, and no barrier. A Fallback cannot read the stream, so it does not
// hand out claimed lines at all unless the configuration rules a stream out (mode never). With mode auto and no
// JetStream this is stricter than necessary: while NATS is unreachable, the bot cannot know whether a stream holds
// reports. Such a line waits until the service is back. Lines that were never claimed, or whose failure was reported,
// do not wait.
//
// # Stopping
//
// When its context ends, a Service first unsubscribes from requests, then from events, waits until nats.go has handed
// over what the server had sent until then, and stores and answers all of it, for at most 20 s. A client whose request
// comes later gets "no responders" at once and tries again; a bot keeps its events.
//
// No lock is held over a call of the store, of NATS or of the log.
package database
