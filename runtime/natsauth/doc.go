// Package natsauth knows which NATS permissions each of Rosey's processes needs, and issues accounts and users with
// exactly these.
//
// # Accounts and users
//
// A NATS account is a world of its own: a message, a stream and a subject exist in one account only. Each RoseyBot has
// an account, so nothing that its users do, or that somebody does who has stolen their credentials, reaches another
// RoseyBot. Within the account every role (bot, service, command line) is a user with the permissions of its role
// alone. RoseyBots that share a database service (sharedFrom) are in the account of the one that owns it: they are one
// trust domain.
//
// # Permissions
//
// Options.For returns the permissions of a role: a pure function of the subjects and of what the processes are
// configured to do. Each role is a row of the table in grants.go, made of grants with their reason; a new kind of
// process is a new row. A test runs the real processes with exactly these lists and holds what they use against them.
//
// A plugin is a user too, and so is the host of several (Options.Plugins). In operator mode their permissions are those
// of a scoped signing key of the account, one for each such user: a JWT with the permissions of many plugins would be
// longer than the line of the protocol in which a client sends it.
//
// Some rules of nats-server (2.15) decide how the lists are written:
//
//   - Where `foo.*` may be subscribed to, nats-server also allows a subscription to `foo.>`, and delivers foo.a.b. So
//     no permission to subscribe ends in `*`: where everything below is one's own it ends in `.>`, elsewhere the
//     subjects are listed.
//   - A permission to subscribe to a subject includes every queue group, by which a client could take messages from the
//     members of the group. A permission "SUBJECT GROUP" allows the subject in that group alone, which is how the
//     service subscribes; those who only listen are denied all groups.
//   - Replies arrive at inboxes. Whoever may subscribe to `_INBOX.>` reads the replies to everybody in the account, so
//     each role has an inbox prefix of its own: bus.Subjects.InboxPrefix.
//   - The service may not publish to inboxes but only reply: allow_responses lets it publish to the reply subject of a
//     request that the server has delivered to it. The server does not track replies that are allowed anyway, so the
//     acknowledgement subjects of the stream's messages, which come as reply subjects too, cost nothing.
//   - JetStream sends with the rights of the server and not of the client, to whatever reply subject a request names.
//     Whoever may create a stream or a consumer can have messages copied to any subject of the account. Whoever may
//     pull or acknowledge messages can have an empty message sent to any subject, which is enough for some requests to
//     JetStream itself; whoever may write and read raw values, any message. docs/nats.md says who may what because of
//     that. With manual provisioning the bot reads the leader key as JSON, which JetStream refuses as a request, and
//     the system account refuses requests without content that remove something: see refusals.go.
package natsauth
