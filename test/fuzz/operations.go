package fuzz

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
)

// Kind is a kind of operation, named as in the report.
type Kind string

// operations are the kinds of operations.
var operations = map[Kind]func(ctx context.Context, h *hostile){
	"anything on any subject":        anything,
	"anything large":                 anythingLarge,
	"unanswered requests":            unansweredRequests,
	"requests of one kind":           requestsOfOneKind,
	"joins and leaves of many names": manyNames,
	"the same user joins and leaves": oneUser,
	"large chat lines":               largeLines,
	"recent chat, large and often":   recentChat,
	"values under many keys":         manyKeys,
	"values under many plugin names": manyPlugins,
	"listing and deleting keys":      listKeys,
	"dead letters":                   deadLetters,
	"outbound lines":                 outboundLines,
	"claims and reports":             claimsAndReports,
	"status and counts":              statusAndCounts,
	"commands by private message":    pmCommands,
	"forged message IDs":             forgedIDs,
	"headers":                        headers,
	"maintenance":                    maintenance,
	"service discovery":              discovery,
	"hostile replies to requests":    hostileReplies,
	"hostile acknowledgements":       hostileAcks,
}

// Kinds returns all kinds of operations, in alphabetical order.
func Kinds() []Kind { return slices.Sorted(maps.Keys(operations)) }

func anything(ctx context.Context, h *hostile) {
	for range 500 {
		suffix := anySuffix(h.random)
		if !h.send(ctx, suffix, h.reply(h.random), header(h.random, suffix), body(h.random, suffix, 2048)) {
			return
		}
	}
}

func anythingLarge(ctx context.Context, h *hostile) {
	for range 200 {
		suffix := anySuffix(h.random)
		if !h.send(ctx, suffix, h.reply(h.random), header(h.random, suffix), body(h.random, suffix, h.size())) {
			return
		}
	}
}

func unansweredRequests(ctx context.Context, h *hostile) {
	for range 100_000 {
		suffix := pick(h.random, requests...)
		if suffix == bus.MaintenanceRun { // an operation of its own
			continue
		}
		if !h.request(ctx, suffix, valid(h.random, suffix)...) {
			return
		}
	}
}

func requestsOfOneKind(ctx context.Context, h *hostile) {
	suffix := pick(h.random, bus.QueryChannelStats, bus.QueryUserStats, bus.KVGet, bus.OutboundGet, bus.StatsRecentChat)
	padding := field{"padding", quote(filler(pick(h.random, 0, 100, 10_000, h.most-1024)))}
	for range 20_000 {
		if !h.request(ctx, suffix, append(valid(h.random, suffix), padding)...) {
			return
		}
	}
}

func manyNames(ctx context.Context, h *hostile) {
	start := h.random.IntN(1 << 30)
	suffix := pick(h.random, bus.UserJoined, bus.UserJoined, bus.UserLeft)
	for i := range 20_000 {
		if !h.event(ctx, suffix, field{"username", quote("n" + strconv.Itoa(start+i))}) {
			return
		}
	}
}

func oneUser(ctx context.Context, h *hostile) {
	name := field{"username", quote("busy" + digits(h.random, 10))}
	for i := range 5_000 {
		at := field{"timestamp", strconv.Itoa(1_600_000_000 + h.random.IntN(100_000_000))}
		if !h.event(ctx, pick(h.random, bus.UserJoined, bus.UserLeft), name, at, field{"n", strconv.Itoa(i)}) {
			return
		}
	}
}

func largeLines(ctx context.Context, h *hostile) {
	for i := range 400 {
		text := strconv.Itoa(i) + " " + filler(pick(h.random, h.size(), 10_000+h.random.IntN(6_000)))
		if !h.event(ctx, bus.MessageLog, field{"username", quote(anyName(h.random))}, field{"message", quote(text)}) {
			return
		}
	}
}

// recentChat fills what a reply can hold, and then asks for it again and again.
func recentChat(ctx context.Context, h *hostile) {
	for i := range 200 { // about as long as a line may be
		text := strconv.Itoa(i) + " " + filler(16<<10-8)
		h.event(ctx, bus.MessageLog, field{"username", `"reader"`}, field{"message", quote(text)},
			field{"n", digits(h.random, 1<<30)})
	}
	for range pick(h.random, 500, 5_000) {
		h.request(ctx, bus.StatsRecentChat, field{"limit", pick(h.random, "1000", "50", "9223372036854775807", "200")})
	}
}

func manyKeys(ctx context.Context, h *hostile) {
	plugin, size := field{"plugin_name", quote("plugin" + digits(h.random, 5))}, pick(h.random, 10, 1000, 60_000)
	for range 20_000 {
		key := field{"key", quote("k" + digits(h.random, 1<<30))}
		if !h.request(ctx, bus.KVSet, plugin, key, field{"value", quote(filler(size))}) {
			return
		}
	}
}

func manyPlugins(ctx context.Context, h *hostile) {
	for range 2_000 {
		name := pick(h.random, "p"+digits(h.random, 1<<30), anyText(h.random), filler(h.random.IntN(300)))
		key := field{"key", quote(pick(h.random, "k", filler(h.random.IntN(1000)), anyText(h.random)))}
		if !h.request(ctx, bus.KVSet, field{"plugin_name", quote(name)}, key, field{"value", quote(filler(4000))}) {
			return
		}
	}
}

func listKeys(ctx context.Context, h *hostile) {
	for range 2_000 {
		suffix := pick(h.random, bus.KVList, bus.KVDelete, bus.KVGet)
		if !h.request(ctx, suffix, valid(h.random, suffix)...) {
			return
		}
	}
}

func deadLetters(ctx context.Context, h *hostile) {
	size := pick(h.random, 20, 500, 64<<10, h.most-1024)
	for i := range 10_000 {
		data := []byte(`{"username":[` + strconv.Itoa(i) + `],"message":"` + filler(h.random.IntN(size)) + `"}`)
		if !h.send(ctx, pick(h.random, bus.Events...), "", nil, data) {
			return
		}
	}
}

func outboundLines(ctx context.Context, h *hostile) {
	size := pick(h.random, 5, 300, 4096, 4097, 100_000)
	for i := range 2_000 {
		text := pick(h.random, "", "/me ", "  ") + strconv.Itoa(i) + filler(h.random.IntN(size))
		fields := []field{{"message", quote(text)}}
		if h.random.IntN(2) == 0 {
			fields = append(fields, field{"client_id", quote(pick(h.random, text, digits(h.random, 100), filler(2000)))})
		}
		if !h.request(ctx, bus.OutboundPut, fields...) {
			return
		}
	}
}

func claimsAndReports(ctx context.Context, h *hostile) {
	for range 2_000 {
		suffix := pick(h.random, bus.OutboundGet, bus.OutboundSent, bus.OutboundFailed)
		if !h.request(ctx, suffix, valid(h.random, suffix)...) {
			return
		}
	}
}

func statusAndCounts(ctx context.Context, h *hostile) {
	for range 3_000 {
		suffix := pick(h.random, bus.StatusUpdate, bus.StatsUserCount, bus.StatsHighWater)
		if !h.event(ctx, suffix, append(valid(h.random, suffix), field{"timestamp", anyTime(h.random)})...) {
			return
		}
	}
}

func pmCommands(ctx context.Context, h *hostile) {
	for i := range 2_000 {
		fields := append(valid(h.random, bus.ActionPMCommand), field{"error", quote(filler(h.random.IntN(4000)))},
			field{"n", strconv.Itoa(i)})
		if !h.event(ctx, bus.ActionPMCommand, fields...) {
			return
		}
	}
}

// forgedIDs publishes events with the IDs of others, and one event with the ID of another kind.
func forgedIDs(ctx context.Context, h *hostile) {
	for i := range 3_000 {
		suffix := pick(h.random, bus.Events...)
		id := pick(h.random, "same", fmt.Sprintf("%012x-%d", 1_700_000_000_000+i, i), filler(h.random.IntN(3000)), "", "/",
			"\u202e")
		forged := nats.Header{bus.MsgIDHeader: {bus.MsgID(id, suffix)}}
		if !h.send(ctx, suffix, "", forged, []byte(object(valid(h.random, suffix)...))) {
			return
		}
	}
}

func headers(ctx context.Context, h *hostile) {
	for range 500 {
		suffix := anySuffix(h.random)
		if !h.send(ctx, suffix, h.reply(h.random), header(h.random, suffix), []byte(object(valid(h.random, suffix)...))) {
			return
		}
	}
	large := nats.Header{bus.MsgIDHeader: {bus.MsgID(filler(h.most/2), bus.MessageLog)}}
	for range 5 {
		h.send(ctx, bus.MessageLog, "", large, []byte(object(valid(h.random, bus.MessageLog)...)))
	}
}

func maintenance(ctx context.Context, h *hostile) {
	for range 200 {
		h.request(ctx, bus.MaintenanceRun)
	}
}

// discovery asks who serves. The NATS services library answers by itself.
func discovery(ctx context.Context, h *hostile) {
	for range 3_000 {
		subject := pick(h.random, "$SRV.PING", "$SRV.INFO", "$SRV.STATS", "$SRV.PING."+h.subjects.ConsumerName(),
			"$SRV.STATS."+h.subjects.ConsumerName(), "$SRV.PING.x", "$SRV.INFO."+h.subjects.ConsumerName()+".x")
		data := body(h.random, bus.QueryChannelStats, 512)
		if h.conn.PublishMsg(&nats.Msg{Subject: subject, Reply: h.reply(h.random), Data: data}) == nil {
			h.count("", len(data))
		}
		if !h.mayGoOn(ctx) {
			return
		}
	}
}
