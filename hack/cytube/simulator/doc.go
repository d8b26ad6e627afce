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
// Client events: joinChannel, channelPassword, login, chatMsg, pm. Any other is ignored.
//
// # What the simulator adds
//
// JSON over HTTP, so that a test can drive a simulator that runs elsewhere. There is no authentication: it is a
// development tool.
//
//	GET  /healthz                              "ok"
//	GET  /simulator/channels/{channel}/log     {"entries": [Entry...]}; ?after=SEQ and ?kind=chat narrow it
//	GET  /simulator/channels/{channel}/users   {"users": [User...], "connections": n}
//	POST /simulator/channels/{channel}/join    {"user": "alice"}
//	POST /simulator/channels/{channel}/say     {"user": "alice", "text": "hi"}
//	POST /simulator/channels/{channel}/leave   {"user": "alice"}
//	POST /simulator/channels/{channel}/script  {"seconds": 20, "seed": 1, "pace_ms": 300}
//	GET  /simulator/channels/{channel}/script  ScriptStatus
//
// A POST answers with the [Entry] it made (say), with {} (join, leave) or with the [ScriptStatus] (script, which goes
// on by itself). An error is {"error": "..."}: 400 for bad input, 404 for somebody who is not in the audience, 409
// for a name in use or a script that is already running.
package simulator
