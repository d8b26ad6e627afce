// Package relational implements store.Store for SQL databases. It knows the tables, the rules by which events become
// rows, and the queries; packages sqlite and postgres add connections, transactions and migrations.
//
// All statements are written in the SQL that SQLite and PostgreSQL share, with parameters $1, $2, and so on. What
// differs is behind [Database]: how transactions begin and are repeated, how many rows are inserted at once, and which
// driver errors are the errors of package store.
//
// # Applying events
//
// [Store.Apply] turns a batch of events into one transaction. Events that insert a row (chat, joins and leaves, user
// counts, actions) use the event ID as the row's key, so a repeated event inserts nothing. Events that change a row
// (users, maxima, status, stays of a bot, reports on outbound messages) use a merge that gives the same row in any
// order and with any repetition: a minimum, a maximum, or the last writer by time. Only a new chat row adds to its
// user's count of lines. All services write the rows in one order, table by table and sorted by key, so two
// transactions cannot wait for each other.
//
// # Pruning
//
// A chat line that was pruned may be repeated later, since CyTube sends the last lines to everyone who joins. Each
// channel remembers the time of the newest line that was pruned, and lines up to that time are not inserted again.
// Apply locks the channel's row against pruning until its transaction ends.
//
// The same holds for users: each channel remembers when the newest user that was pruned was last seen, and events up to
// that time count for no user. Otherwise what arrives late would bring back a part of what was known, and which part
// would depend on the order.
//
// # Quotas
//
// kv_usage has a row for each plugin that has keys in a channel, with their number and size. Every transaction that
// changes keys locks this row first and changes it, so that a quota is exact without reading the keys.
//
// A transaction that sets a key locks the channel's row of kv_revisions next, and so takes a revision that no other has
// had. That row outlives the keys.
//
// # Outbound messages
//
// [Store.Outbound] returns the messages that are due and claims them in the statement that finds them, leaving out rows
// that another transaction has locked. Reports on messages are events and merge like all others.
//
// # Tables
//
// The tables are listed once, in tables.go, with their columns and with the merge that Apply and [Move] share. A test
// of each database compares the list with the schema that the migrations create. [Move] copies a whole database into
// another one, of the same kind or not, and can be repeated to copy what has changed since.
package relational
