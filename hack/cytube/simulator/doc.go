// Package simulator is a CyTube server for tests and for local use: the part of CyTube 3.86 that a bot uses, with
// simulated people in its channels, called the audience. It implements Engine.IO protocol 4 and Socket.IO protocol 5
// over a WebSocket, as recorded from a real server in testdata/captures. It shares no code with the CyTube client, so
// that an error in one is not hidden by the same error in the other.
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
// [New] returns a [Server], [Server.Handler] serves it, [Server.Close] ends every connection and script and waits for
// them. A [Channel] is created when it is first used. [Channel.Log] has everything that happens in a channel, in the
// order and with the times and texts that clients saw.
//
// # The CyTube API
//
//	GET /socketconfig/{channel}.json               the URL of the socket server
//	GET /socket.io/?EIO=4&transport=websocket      the socket
//
// Client events are those of newHandlers: joining, logging in, chat and private messages, the playlist, leader, polls,
// votes to skip, ranks, permissions, emotes and the message of the day. Any other is ignored. Chat commands are those
// of newCommands and /d.
//
// # Limits and faults
//
// [Limits] are the real server's limits for visitors and addresses; the zero value has none. [Server.Restart],
// [Server.Crash], [Server.Partition], [Server.Slow], [Server.RefuseLogins] and methods of [Channel] such as
// [Channel.Kick], [Channel.Drop] and [Channel.Inject] cause faults. [Server.Log] records them, and connections and
// logins.
//
// # The simulator's API
//
// A JSON API below /simulator/ controls a simulator in another process; the README of hack/cytube describes it. There
// is no authentication: it is a development tool.
package simulator
