// Package natsserver runs a NATS server inside the process, for `rosey run`, which needs no other.
//
// The bot and the database service of `rosey run` are the same code as in two processes, so they talk over NATS here
// too. They connect through Server.InProcessConn, a pipe without a network socket. The server has no JetStream: bot and
// service end together, so a stream would not make anything more durable.
//
// By default nothing listens. With Options.Listen, other processes can connect, without authentication: `rosey say`,
// `tail`, `top` and `user`, or a plugin.
//
// Nothing but cmd/rosey imports this package. It links a whole NATS server, which the packages of a pod's bot and
// service must not need; a test checks that.
package natsserver
