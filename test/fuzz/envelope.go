package fuzz

import (
	"math/rand/v2"
	"strings"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
)

// requests are the subjects that a database service answers, or will.
var requests = []bus.Suffix{
	bus.OutboundGet, bus.OutboundPut, bus.OutboundPutCommand, bus.StatsRecentChat, bus.QueryChannelStats,
	bus.QueryUserStats, bus.KVSet, bus.KVGet, bus.KVDelete, bus.KVList, bus.MaintenanceRun,
	bus.DeadList, bus.DeadRetry, bus.DeadDrop, bus.OutboundCancel, bus.PeopleExport, bus.PeopleForget,
	bus.QueryUserCounts, bus.QueryChat, bus.QueryUsers, bus.QueryUser, bus.QueryMedia, bus.QueryOutbound,
	bus.QueryRecords, bus.QueryPluginActions, pluginKVGet, pluginKVSet, pluginKVDelete, pluginKVList, pluginKVAdd,
}

// The requests of a plugin for its keys.
const (
	pluginKVGet    bus.Suffix = "db.kv.movienight.trivia.get"
	pluginKVSet    bus.Suffix = "db.kv.movienight.trivia.set"
	pluginKVDelete bus.Suffix = "db.kv.movienight.trivia.delete"
	pluginKVList   bus.Suffix = "db.kv.movienight.trivia.list"
	pluginKVAdd    bus.Suffix = "db.kv.movienight.trivia.add"
)

// unknown are subjects below the prefix on which nothing listens, or something that is not the database service.
var unknown = []bus.Suffix{
	"db", "db.x", "db.user", "db.user.joined.x", "db.kv", "db.kv.set.x", "db.kv.*", "db.kv.movienight.trivia.steal",
	"db.kv.movienight.TRIVIA.get", "db.kv.other.trivia.set", "db.kv.*.*.get", "db.kv.\u202e.a\x1bb.list",
	"db.>", "*", "db.row.quotes.insert",
	"db.migrate.quotes.apply", "db.sql.quotes.query", "db.dead", "db.dead.bury", "db.people.remember", "status.get",
	"channel.movienight.get", "outbound.movienight.waiting", "plugin.movienight.trivia.call",
	"events.cytube.movienight.message", "events.cytube.movienight.pm", "platform.cytube.event",
}

// anySuffix returns a subject, known or not.
func anySuffix(random *rand.Rand) bus.Suffix {
	switch random.IntN(10) {
	case 0:
		return pick(random, unknown...)
	case 1:
		last := pick(random, "é", "😀", "x", "$JS", "\u202e", "a\x1bb")
		return bus.Suffix("db." + strings.Repeat("x.", random.IntN(400)) + last)
	case 2, 3, 4, 5:
		return pick(random, requests...)
	default:
		return pick(random, bus.Events...)
	}
}

// header returns the header of a message: mostly none, or one with something forged or huge in it.
func header(random *rand.Rand, suffix bus.Suffix) nats.Header {
	if random.IntN(3) > 0 {
		return nil
	}
	h := nats.Header{}
	for range 1 + random.IntN(3) {
		name := pick(random, bus.MsgIDHeader, bus.MsgIDHeader, bus.IDsHeader, "Rosey-Next-Due", "Rosey-Deadline",
			"traceparent", "Nats-Expected-Stream", "Nats-Expected-Last-Sequence", "Nats-Expected-Last-Msg-Id",
			"Nats-Rollup", "Nats-TTL",
			"Nats-Schedule", "Nats-Schedule-Target", "Nats-Service-Error", "Nats-Service-Error-Code", "Status", "X", "é")
		h.Add(name, headerValue(random, suffix))
	}
	if random.IntN(20) == 0 {
		for range 2_000 {
			h.Add("X-"+digits(random, 1_000_000), "x")
		}
	}
	return h
}

func headerValue(random *rand.Rand, suffix bus.Suffix) string {
	id := "0198" + digits(random, 1_000_000) + "-" + digits(random, 1000)
	return pick(random, bus.MsgID(id, suffix), bus.MsgID(id, bus.UserLeft), id, "/"+string(suffix), "", "0", "-1", "once",
		"all", "1s", "never", "503", "@every 1s", "00-00000000000000000000000000000000-0000000000000000-00",
		"00-"+strings.Repeat("f", 32)+"-"+strings.Repeat("f", 16)+"-01",
		bus.MsgID(strings.Repeat("x", random.IntN(30_000)), suffix), bus.MsgID("\u202e\x1b[31m", suffix),
		strings.Repeat("9", random.IntN(10_000)))
}

// reply returns the reply subject of a message: an inbox on which nobody listens, none, or one that is no inbox and so
// must get nothing.
func (h *hostile) reply(random *rand.Rand) string {
	stream := h.subjects.StreamName()
	switch random.IntN(4) {
	case 0:
		return ""
	case 1:
		return pick(random, "$SRV.PING", "$SRV.INFO", "$JS.API.STREAM.PURGE."+stream, "$JS.API.STREAM.DELETE."+stream,
			"$JS.API.CONSUMER.DELETE."+stream+"."+h.subjects.ConsumerName(),
			h.subjects.Subject(pick(random, requests...)), h.subjects.Subject(pick(random, bus.Events...)),
			"$KV."+h.subjects.LockBucket()+".leader", "x", "INBOX.x", "_R_", "_INBOX")
	default:
		return "_INBOX.hostile." + digits(random, 1_000_000)
	}
}
