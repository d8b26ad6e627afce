// Package postgres implements store.Store with a PostgreSQL database. Any number of services may use one database at
// the same time.
//
// # Transactions
//
// Transactions are READ COMMITTED, and those that read several tables REPEATABLE READ. Rows are written and locked in
// one order, see package relational; if the server still ends a transaction because of a deadlock or a serialization
// failure, it is repeated. Each transaction except the one that relational.Move reads has a time limit, so that a
// server that vanished without closing its connections does not block the service for as long as the kernel tries to
// reach it.
//
// Rows of events are sent as one array for each column, other statements of a batch in one round trip.
//
// # Connections
//
// The URL of the database is read from a file at every connect, and connections are replaced after ten minutes, so a
// new password takes effect without a restart. The first connection fixes which database is used: a connection to one
// with another identity is refused, since a service must not spread its rows over two databases. No error shows the
// URL, which has a password.
//
// # Schema
//
// [Open] looks at the database before it writes anything: tables of another program stay as they are. It applies the
// files in migrations in one transaction, which holds an advisory lock, so several services may start at once: one
// migrates, the others wait and find the schema up to date. A lock of a transaction works through a connection pooler,
// too, which would keep a lock of a session, and one connection is enough: with few of them, services that start would
// wait for each other. A file that was released is never changed; see package sqlite.
package postgres
