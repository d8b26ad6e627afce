// Package room keeps the state of a CyTube channel: who is there, what each rank may do, the playlist and what plays.
//
// A Room is a reducer. Apply takes one event of package cytube and the time at which it arrived, changes the state, and
// returns a Change with what others may want to know: who joined, who left, and whether the bot's own rank is another.
// A Room does no I/O, reads no clock and writes no log, so that the same events always lead to the same state. Methods
// whose result depends on the current time take it as an argument.
//
// The state starts empty with every connection. On joining, the server sends the whole of it as events (permissions,
// the user list, the playlist, what plays), and from then on only changes. Some of it comes late or not at all:
//
//   - Permissions, the playlist's items and the number of connected users are unknown until the server sends them.
//     Room allows nothing while it does not know the permissions.
//   - The server sends the playlist's items only to those who may see them, but the number of items to everybody.
//   - The bot's rank comes twice: first its rank on the site, then its rank in the channel.
//   - The server repeats the user list when the bot's rank changes. Users who are in the list already did not join
//     again. Users in the first list are all reported as joined, because nobody knows since when they have been there.
//   - The server does not announce that nothing plays any more. An empty playlist implies it.
//
// User names are compared without regard to case, as CyTube does.
//
// A Room is not safe for concurrent use. It belongs to the goroutine that reads the connection's events; other
// goroutines get a Snapshot from it.
//
// A Room has only state that something reads. Emotes, the message of the day and the channel's style are not part of
// it: package bot publishes them to subscribers as they arrive.
package room
