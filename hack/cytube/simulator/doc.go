// Package simulator is a CyTube server for tests and for local use: the part of CyTube 3.86 that a bot talks to,
// with people in its channels who need no browser. It speaks Engine.IO protocol 4 and Socket.IO protocol 5 over a
// WebSocket, as recorded from a real server in testdata/captures, and shares no code with the CyTube client, so
// that a mistake in one is not hidden by the same mistake in the other.
//
// # In a Go test
//
//	sim, url := simulatortest.Start(t, simulator.Options{
//		Accounts: []simulator.Account{{Name: "rosey", Password: "secret", Rank: 3}},
//	})
//	movies := sim.Channel("movienight")
//	movies.Join("alice")
//	movies.Say("alice", "hello <everyone>")
//	movies.Leave("alice")
//	joined, err := movies.WaitFor(ctx, 0, func(e simulator.Entry) bool {
//		return e.Kind == simulator.KindJoin && e.User == "rosey"
//	})
//
// [New] makes a [Server], [Server.Handler] serves it, [Server.Close] ends every connection and script and waits for
// them. A [Channel] exists as soon as somebody names it. Everything that happens in a channel is in [Channel.Log] in
// the order and with the times and texts that clients saw.
//
// # What CyTube serves
//
//	GET /socketconfig/{channel}.json               where the socket server is
//	GET /socket.io/?EIO=4&transport=websocket      the socket
//
// Client events are those of newHandlers: joining, logging in, chat and private messages, the playlist, leader, polls,
// votes to skip, ranks, permissions, emotes and the message of the day. Any other is ignored. Chat commands are those
// of newCommands and /d.
//
// # Limits and faults
//
// [Limits] are the real server's limits for visitors and addresses; the zero value has none. [Server.Restart],
// [Server.Crash], [Server.Partition], [Server.Slow], [Server.RefuseLogins] and the methods of [Channel] that are not
// the audience's ([Channel.Kick], [Channel.Drop], [Channel.Inject] and so on) make things go wrong. [Server.Log] tells
// of them, and of connections and logins.
//
// # What the simulator adds
//
// JSON over HTTP below /simulator/, so that a test can drive a simulator that runs elsewhere; the README of
// hack/cytube lists it. There is no authentication: it is a development tool.
package simulator
