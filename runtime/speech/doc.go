// Package speech sends everything that the bot says in its channel: lines of the outbound queue, replies to commands,
// and private messages.
//
// # The problem
//
// CyTube acknowledges nothing. A message comes back to everybody in the channel, the bot included, as a line under the
// bot's name: the echo. It has no ID, and filters may have changed its text. If the server drops a message, it sends an
// event that does not name the message, or nothing. Private messages have an echo of another kind; commands such as
// "/kick" have none. So the Speaker sends one message at a time, and the order decides: the next line under the bot's
// name is the echo of the message that was sent last. The text is only a hint: a line that differs from that message,
// but equals one whose echo timed out, is the echo of the earlier one.
//
// # From a row of the queue to its report
//
// One goroutine, Speaker.Run, owns everything. The bot's session passes on what the server sent (HeardOwn,
// HeardRefusal, Replayed, SetPermission, …) and commands give it messages (Say, Do); all of these only post to an inbox
// and never wait for the network. The goroutine
//
//  1. requests one line (outbound.get) from the database service: when the service announces one, when the reply before
//     said that one would be due, after it has handled a line, and every ten seconds in case an announcement was lost.
//     A service that announces nothing, like the Python one, is polled every two seconds. The service claims the line
//     for this bot;
//  2. decides with the Tracker whether it may be said;
//  3. splits it into parts that the server does not cut, as far as is known (maxLength), and sends one after the other.
//     Each waits for its turn among all messages and for the flood limit (pacer). The leadership is checked right
//     before sending;
//  4. waits for the echo of each part, at most five seconds;
//  5. publishes the event OutboundSent or OutboundFailed without waiting for its delivery: like every event of the bot
//     it is queued, stored once, and may arrive late. Until it is stored the service may hand out the line again; the
//     Tracker remembers the result and does not begin another attempt.
//
// # States of a line
//
//	queued       The service has it; this process is not waiting for an echo of any part.
//	claimed      The service handed it out, and its next part waits to be sent.
//	sending      A part was sent, and its echo is due.
//	unconfirmed  A part was sent, and its echo did not come: it timed out, or the connection ended. It may have been
//	             said. A late echo, or the history that the server repeats on the next join, confirms it after all.
//	said         Every part appeared. The line is reported as sent, and again if it is still handed out half a minute
//	             later.
//	failed       The server refused a part for a reason that can pass: throttled, spam filter.
//	abandoned    It is not tried again: the bot is muted or its rank is too low, it failed for the fourth time, it is a
//	             command without an echo, or nobody can know whether it was said already.
//
// The file line.go has the transitions as a table. A line that failed, or whose echo did not come in time, is tried
// again after 2, 4 and 8 minutes. The database applies the same rule; the Tracker applies it for a service that does
// not support failure reports, like the Python one, and while a report is on its way.
//
// # Saying nothing twice
//
// A bot can die after it has said a line and before its report is stored. Then the service hands the line to the next
// bot with the time of the first claim. CyTube repeats its last 15 lines to every client that joins; those under the
// bot's name that this process did not say were said by others. If they contain the line, it is complete or continues
// with its next part. If they do not, and the history goes back to the first claim, the line was not said. Otherwise it
// is in doubt: more than 15 lines were said since, a moderator cleared the chat, or nobody had said anything before.
// Such a line is abandoned: somebody can queue it again, but nobody can take back a line that was said twice. The
// same holds for a line that was on its way when this bot's own connection ended. A service without claims only states
// when the line was queued, and its lines are never in doubt.
package speech
