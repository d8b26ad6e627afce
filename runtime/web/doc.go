// Package web serves the pages for the people of a channel: what happens in it, what was said, who was there.
//
// A [Server] is a client of the message bus like any other. It opens no database and joins no channel: the pages show
// what the bot publishes and what the database service answers. So it can be restarted, scaled and exposed without
// touching the channel. `rosey web` runs it alone; `rosey run` serves the same handler at /.
//
// # Who may see what
//
// Each page has an [Access]; server.go lists them. A person is whoever presents one of the tokens in a directory
// (see tokens.go), as a cookie or in a header. With web.public whoever reaches the pages may read; otherwise
// reading needs a token too, except for a browser on the machine itself, where the pages are served on a loopback
// address alone. Who has a token may have the bot say a line, in the person's own name; commands need a token whose
// name says so.
//
// A session is a cookie with the name, the expiry and an HMAC keyed by the token. There is no state on the server:
// every replica accepts it, and it ends with the token.
//
// # Text of strangers
//
// Names, titles and lines are chosen by strangers. html/template escapes them, every page is made printable as a
// whole, links are those of linkify, and the Content-Security-Policy permits only the files of this package: there
// is neither inline script nor inline style.
//
// # Live
//
// A process has one subscription to the events of the channel, however many pages are open: see live.go. What an
// event says is only a reason to look: who is there and what plays comes from the bot's answer to a request, so a
// lost event cannot leave a page wrong for long. Each page is a stream of server-sent events with a bounded buffer;
// a reader who reads slowly is cut off and loads the state again.
//
// # Links
//
// All links are relative, so that a proxy may serve the pages below any path, whether it strips the path or not.
package web
