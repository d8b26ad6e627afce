// Package store defines what the database service and the bot store, and what can be read back. Packages sqlite and
// postgres implement it; package storetest is the contract that both have to meet.
//
// # Events and facts
//
// An [Event] is something that happened in a channel: a time, an ID and a [Fact], for example a [ChatLine]. Events are
// the only way in for what happens in a channel, in service mode and direct mode alike: [Store.Apply] turns a batch of
// them into rows in one transaction.
//
// Events may arrive in any order and any number of times. A bot publishes an event again when an acknowledgement is
// lost, a stream delivers a message again, two bots see the same chat line, and a restored database reads the stream
// again. So every fact has a rule by which it merges with what is stored, and the tables depend only on the set of
// events:
//
//	ChatLine, UserCount, Action  inserted once, by the event's ID; a new chat line is counted for its user and hour
//	MediaPlayed                  inserted once; reports on one play are joined on reading
//	UserJoined, UserLeft         inserted once; sessions and connected time are derived by [Sessions] on reading
//	users                        minimum of first seen, maximum of last seen, the latest spelling of the name
//	HighWater                    the maximum; of equal maxima the earliest time
//	Status                       the last writer of each field by time; stays of bots are merged by their start
//	OutboundSent                 wins over all failures; the earliest time
//	OutboundFailed               the highest number of failed attempts, with the error and time of that attempt
//
// The contract tests in package storetest check this with random events that are shuffled, repeated and cut into
// batches.
//
// A new fact is a type in event.go, a case in package relational, which makes it a row, and a decoder in package
// database. The store does not know the fields of a status, which are the business of package bus alone.
//
// # Outbound messages
//
// Lines for the bot to send are a queue: [Store.Enqueue] adds one, and [Store.Outbound] hands out those that are due
// and claims them for one bot, for [ClaimDuration]. The bot reports by an event whether it could send the line. A line
// whose bot dies is handed out again when the claim has ended. It may have been sent, so it comes with the time since
// when it was claimed, and as long as reports may be missing the line is not handed out; see [OutboundQuery]. A line
// that fails is due again after 2, 4 and 8 minutes, and is abandoned after [MaxAttempts] or a permanent failure.
//
// # Retention
//
// [Retention] says how long rows are kept, and its [Retention.Rules] which rows [Store.Prune] removes. Rows that make a
// repeated event harmless must be kept longer than the event can be repeated: the minimum is one hour. A chat line from
// before the newest one that was pruned is never stored again.
//
// # Names and text
//
// Names of channels and users are compared in lower case ([Fold]) and shown as they were spelled last. [Normalize]
// makes events safe for all databases before they are stored, so that all databases store the same.
package store
