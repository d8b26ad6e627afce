// Package cli implements the commands that a person runs against a bot: `rosey say`, `tail`, `top` and `user`. They
// need nothing but NATS: the database service answers the requests, and what bots and services publish can be watched
// by anyone who may subscribe to it.
//
// A Client is made by Connect, which differs from bus.Connect in that it waits only a few seconds: a person wants to
// read at once why there is no connection, while a bot waits for its server. All errors are one line that names what
// was attempted and what to check.
//
// Client.Say, ChannelStats and UserStats send one request each, with the subjects and payloads of package bus. The
// database service finds the bot's channel by the subject prefix; where several bots share one service, the channel
// of the configuration goes along in each request.
//
// Client.Tail subscribes to all subjects below the prefix and passes each Message that a Filter matches to a callback.
// Message.Line is the message on one line for people; encoded as JSON, a Message is one line of `rosey tail --json`.
package cli
