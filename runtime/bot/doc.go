// Package bot keeps one bot in one CyTube channel and publishes what happens there.
//
// It puts the parts together: package cytube is the connection to the server, room the state of the channel, and leader
// the election among replicas. Package speech sends what the bot says, command executes what users ask for,
// pluginclient passes on to plugins what concerns them, and publisher delivers events to the database. Package bot has
// the life cycle, and turns what the server sends into events for the database and for subscribers.
//
// # Life cycle
//
// [Bot.Run] tries to join the channel until its context ends. Nothing else ends it: an unreachable server, a wrong
// password or a ban can be solved from outside while the bot retries, and [Bot.Check] reports meanwhile what is wrong.
// Each attempt reads the passwords again, joins, and runs a session until the connection ends. The pause before the
// next attempt doubles from 2 to 30 seconds and starts again after a session of a minute or more. Some reasons
// have a longer pause, for example 15 minutes after a ban. A password that was absent or refused is read every second,
// and a change ends the pause.
//
// At the end of Run the bot leaves the channel, publishes its last events, and waits for their delivery.
//
// # Session
//
// A session lasts from joining the channel to the end of the connection. One goroutine owns its state and handles
// everything in turn: events from the server, timers, and requests for a [room.Snapshot]. It never waits for the
// network, because the server disconnects a client that does not read. So everything slow has its own goroutine:
// reading from the connection, speech, commands, the feed and the Publisher.
//
// An event goes through these steps, in this order:
//
//  1. It is offered to the feed, while the room still is as it was before the event.
//  2. The room applies it and returns who left, who joined, and whether the bot's rank or the number of connections
//     changed.
//  3. Lines of chat are published for the database. The speaker gets what may be the echo of a message of the bot, or
//     the refusal of one.
//  4. The changes are published for the database: users who left, users who joined, and how many there are.
//  5. Package command looks for a command in it, or for the effect of the command that is being executed.
//
// On joining, the server sends the state of the channel and repeats the last lines of chat. The bot publishes these
// lines too. Their IDs are derived from their content, so the database stores a line once, and the lines of a short
// absence are not lost. Everybody in the first user list is published as joined, because nobody knows who joined
// during the absence. When a session ends, everybody is published as having left: the bot no longer sees them.
//
// # Leadership
//
// Several replicas of a bot may run, but only the leader may be in the channel: the server disconnects the first of two
// clients with one account. With an Elector, Run waits until it acquires the leadership, stays in the channel as long
// as it lasts, leaves, and only then releases it. The leader checks its leadership before it logs in, sends a line or
// executes a command. While it cannot renew it, it stays in the channel and listens, but is silent. When the leadership
// is lost, it leaves and publishes no departures, since the new leader publishes who is there.
//
// A leader that cannot join for half a minute resigns, if another replica on another machine may be able to: the server
// is unreachable, it limits connections or logins from an address, or a password file is absent. A ban applies to
// every replica, so a banned leader does not resign.
//
// # Commands and plugins
//
// The configuration of commands and plugins is in files that may change while the bot runs. They are read every second,
// whether the bot is in the channel or not, and what changed is put into force (live.go). A file with a mistake leaves
// what was in force, and a Check reports it. For each session the commands and plugins get the speaker and the room;
// between sessions they get nothing.
//
// # What is published
//
// For the database, through the [Publisher], which delivers in order, also after an outage: user_joined, user_left,
// message_log, high_water (after a join, and for each number of connections from the server), user_count (every five
// minutes), status_update (every ten seconds, and when the bot joins, leaves or gets another rank), and the reports of
// speech and commands. See databaseevents.go.
//
// For subscribers, on events.cytube.CHANNEL.EVENT by core NATS: every event of the server, as it comes, without private
// data. Events that cannot be sent at once are dropped. See feed.go.
package bot
