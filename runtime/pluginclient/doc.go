// Package pluginclient is the bot's side of plugins: it finds them, calls their commands, and does what they ask for.
//
// A plugin is a process of its own and a service of the NATS services protocol (ADR-32). The bot is its client.
// Package bus has the subjects and the messages. Nothing that a plugin sends is trusted: everything is bounded in
// size, number and time, and made printable; and the grants of the configuration are enforced here, also where NATS
// enforces them.
//
// # Life cycle
//
// A [Client] belongs to a bot and outlives its sessions in the channel. [Client.Configure] sets which plugins there
// are, at any time. While the bot leads, [Client.Run] subscribes to what the plugins send and looks for them; no
// other bot of the channel does. While it is in the channel, between [Client.Enter] and the end that Enter returns,
// calls are made and something can be said. At the end of either every call is cancelled, and what was to be said is
// dropped: nothing is tried again, so that nothing is said twice.
//
// # Discovery
//
// Each plugin that is configured is asked by name, with $SRV.INFO: when Run begins, when the connection to NATS is
// established again, when the plugin says hello, and when a process answers that was not known. Every 30 seconds
// $SRV.PING shows whether it is still there. After a call without a responder the plugin is looked for at once: it is
// gone, or the server has refused one of its subscriptions. The commands of a plugin that does not answer stay known,
// since it may only be slow, but help lists the plugin as away.
//
// # Calls
//
// [Client.Call] begins a call in a goroutine of its own: at most eight for a plugin, and one for a user of it. The
// reply comes to an inbox with a token of its own for each call; what comes later, or twice, finds no call and is
// counted. A reply is said as it is or refused as a whole. A failure is one sentence in the channel, with the cause
// in the log and in the status.
//
// # Speaking
//
// What plugins say has queues of its own, one for each, which take turns line by line (talker). One line at a time is
// handed to the bot's Speaker, as one that yields to all others. So a plugin that says much delays neither the
// commands of the bot nor another plugin.
//
// # Requests
//
// A plugin's requests wait in two bounded queues (lanes), each with a goroutine that handles them one after the other:
// acts and queued lines take long, and what is done at once does not wait for them. A request is dropped when the
// plugin does not wait for its answer any more, and one with the ID of an earlier one is not done again (memory): a
// plugin that got no answer may ask again. Requests beyond its rate are answered as throttled or dropped; hello and bye
// never are. Each line that a plugin caused, and each thing that it did, is logged and published for the audit, with
// the plugin, the call and the user who asked.
package pluginclient
