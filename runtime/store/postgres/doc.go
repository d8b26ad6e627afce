// Package postgres implements store.Store with a PostgreSQL database. Any number of services may use one database at
// the same time.
//
// Transactions are READ COMMITTED. Rows are written and locked in one order, see package relational; if the server
// still ends a transaction because of a deadlock or a serialization failure, it is repeated. Each transaction has a
// time limit, so that a server that vanished without closing its connections does not block the service for as long as
// the kernel tries to reach it.
//
// The URL of the database is read from a file at every connect, and connections are replaced after ten minutes, so a
// new password takes effect without a restart. The first connection fixes which database is used: a connection to one
// with another identity is refused, since a service must not spread its rows over two databases.
//
// [Open] migrates the schema while it holds an advisory lock, so several services may start at once.
package postgres
