// Package fuzz runs a bot and a database service with the memory limits that the operator sets, and a hostile client
// that sends to their NATS subjects what the protocol allows and what it does not. Honest traffic runs beside it.
//
// The hostile client is a NATS user with every permission on the RoseyBot's prefix: a plugin that somebody else wrote.
// It may fill quotas, say lines and answer requests before the service does. It must not end a process, take memory
// that stays, fill the disk, or keep honest traffic from being served. docs/security.md says what is promised; the
// permissions of NATS users are tested elsewhere.
//
// A seed determines the operations and everything that they send. A run lasts as long as it is told and then as long as
// the processes need to finish. It uses loopback only.
package fuzz
