// Package publisher sends the bot's events to the database: over a stream, over core NATS, or straight into a database
// that the process has open itself. Publishing never blocks and keeps the order.
package publisher
