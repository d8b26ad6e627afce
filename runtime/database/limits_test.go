package database_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/store"
)

// limited has a service with limits.
func limited(limits config.Limits) func(*database.ServiceOptions) {
	return func(o *database.ServiceOptions) { o.Limits = limits }
}

func (r *rig) refused(s *running, limit string) float64 {
	r.t.Helper()
	return r.metric(s, "rosey_database_refused_total", limit)
}

func line(user, text string) string {
	return fmt.Sprintf(`{"username":%q,"message":%q}`, user, text)
}

// Whatever the limits, a message that exceeds one changes no row, becomes a dead letter that can be retried, and is
// counted; those beside it are stored.
func TestLargeEventsAreRefused(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start())
	text := func(size int) string { return strings.Repeat("x", size) }
	for _, test := range []struct {
		suffix    bus.Suffix
		body, id  string
		limit     string
		mentioned string
	}{
		{bus.MessageLog, line("a", text(16<<10+1)), "", "textBytes", "message: 16385 bytes, expected at most 16384"},
		{bus.MessageLog, line(text(129), "hi"), "", "nameBytes", "username: 129 bytes, expected at most 128"},
		{bus.UserJoined, line(text(129), ""), "", "nameBytes", "username: 129"},
		{bus.UserLeft, line(text(129), ""), "", "nameBytes", "username: 129"},
		{bus.MessageLog, line("a", text(128<<10)), "", "messageBytes", "expected at most 131072"},
		{bus.MessageLog, `{"username":"a"` + text(900<<10), "", "messageBytes", "message: 921"},
		{bus.MessageLog, line("a", "hi"), text(300) + "/db.message.log", "idBytes", "message ID: 315 bytes"},
		{
			bus.ActionPMCommand, fmt.Sprintf(`{"username":"a","command":"c","args":%q,"error":%q}`, text(9<<10), text(9<<10)),
			"", "textBytes", "command, args, result and error: 18",
		},
		{
			bus.StatusUpdate, fmt.Sprintf(`{"status_data":{"current_media_title":%q}}`, text(16<<10+1)), "", "textBytes",
			"status field current_media_title: 16385 bytes",
		},
	} {
		before, dead := r.refused(s, test.limit), len(r.deadLetters())
		var ids []string
		if test.id != "" {
			ids = []string{test.id}
		}
		r.publish(test.suffix, test.body, ids...)
		r.waitUntilStored()
		if got := r.refused(s, test.limit) - before; got != 1 {
			t.Errorf("%s %.60s: counted %v times as %s", test.suffix, test.body, got, test.limit)
		}
		letters := r.deadLetters()
		if len(letters) != dead+1 {
			t.Errorf("%s %.60s: %d dead letters, want one more than %d", test.suffix, test.body, len(letters), dead)
			continue
		}
		last := letters[len(letters)-1]
		if !strings.Contains(last.Reason, test.mentioned) || len(last.Payload) > 64<<10 || last.Size != len(test.body) {
			t.Errorf("%s %.60s: a dead letter of %d of %d bytes, %q, want %q", test.suffix, test.body, len(last.Payload),
				last.Size, last.Reason, test.mentioned)
		}
	}
	r.publish(bus.MessageLog, line(text(128), text(16<<10)))
	r.waitUntilStored()
	if lines := r.lines(); len(lines) != 1 || len(lines[0].Text) != 16<<10 {
		t.Errorf("%d lines are stored, want the one that is as long as allowed", len(lines))
	}
	if rows := r.describeRows(); strings.Contains(rows, "action a") || strings.Contains(rows, "status {") {
		t.Errorf("refused messages have stored rows: %.300s", rows)
	}
}

func (r *rig) deadLetters() []store.DeadLetter {
	r.t.Helper()
	letters, err := r.openReadOnly().DeadLetters(r.t.Context(), "", 0, 1<<20)
	if err != nil {
		r.t.Fatal(err)
	}
	return letters
}

// A status is not lost because one of its fields is too large.
func TestStatusWithALargeField(t *testing.T) {
	r := newRig(t)
	r.ready(r.start())
	r.publish(bus.StatusUpdate, fmt.Sprintf(`{"status_data":{"current_media_title":%q,"bot_rank":3}}`,
		strings.Repeat("x", 20_000)))
	r.waitUntilStored()
	status, err := r.openReadOnly().Status(t.Context(), movies)
	if err != nil || string(status["bot_rank"]) != "3" || len(status) != 1 {
		t.Errorf("status %.100v, %v", status, err)
	}
}

// A client reads which limit it has met, how much is allowed, and what raises it; in the shape of each reply.
func TestRefusedRequestsSayWhichLimit(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start(limited(config.Limits{MessageBytes: 70_000})))
	large := strings.Repeat("x", 70_000)
	for suffix, want := range map[bus.Suffix]string{
		bus.OutboundPut:       `{"success":false,"error":%s}`,
		bus.QueryChannelStats: `{"success":false,"error":%s}`,
		bus.QueryUserStats:    `{"success":false,"error":%s}`,
		bus.OutboundSent:      `{"success":false,"error":%s}`,
		bus.KVSet:             `{"success":false,"error":{"code":"VALUE_TOO_LARGE","message":%s}}`,
		bus.KVList:            `{"success":false,"error":{"code":"VALUE_TOO_LARGE","message":%s}}`,
		bus.StatsRecentChat:   `[]`, bus.OutboundGet: `[]`,
	} {
		before := r.refused(s, "messageBytes")
		body := fmt.Sprintf(`{"message":%q}`, large)
		message := fmt.Sprintf("message: %d bytes, expected at most 70000; to allow more, increase "+
			"database.limits.messageBytes", len(body))
		if strings.Contains(want, "%s") {
			want = fmt.Sprintf(want, fmt.Sprintf("%q", message))
		}
		sameJSON(t, string(suffix), want, r.request(suffix, body))
		same(t, string(suffix)+": counted", before+1, r.refused(s, "messageBytes"))
	}
	id := strings.Repeat("i", 257)
	sameJSON(t, "a long client ID", `{"success":false,"error":"client_id: 257 bytes, expected at most 256"}`,
		r.request(bus.OutboundPut, fmt.Sprintf(`{"message":"hi","client_id":%q}`, id)))
	sameJSON(t, "a long claimant", `[]`, r.request(bus.OutboundGet, fmt.Sprintf(`{"claimant":%q}`, id)))
	sameJSON(t, "a long name", `{"success":false,"error":"username: 257 bytes, expected at most 128; to allow more, `+
		`increase database.limits.nameBytes"}`, r.request(bus.QueryUserStats, fmt.Sprintf(`{"username":%q}`, id)))
	same(t, "counted", []float64{2, 1}, []float64{r.refused(s, "idBytes"), r.refused(s, "nameBytes")})
}

// KV writes at 6.5 MB/s filled the disk in three minutes: every plugin has a quota, and all of a channel together.
func TestKeyValueQuotas(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start(limited(config.Limits{KVKeys: 3, KVBytes: 100_000, KVPlugins: 2, KVChannelBytes: 150_000})))
	set := func(plugin, key string, size int) bus.KVReply[struct{}] {
		var reply bus.KVReply[struct{}]
		body := fmt.Sprintf(`{"plugin_name":%q,"key":%q,"value":%q}`, plugin, key, strings.Repeat("x", size))
		if err := json.Unmarshal([]byte(r.request(bus.KVSet, body)), &reply); err != nil {
			t.Fatal(err)
		}
		return reply
	}
	for _, step := range []struct {
		plugin, key string
		size        int
		refused     string // limit and message
	}{
		{"p", "a", 60_000, ""},
		{"p", "b", 60_000, "kvBytes bytes of the plugin's keys: 120"},
		{"p", "b", 1, ""},
		{"p", "c", 1, ""},
		{"p", "d", 1, "kvKeys keys of the plugin: 4, expected at most 3"},
		{"q", "a", 60_000, ""},
		{"r", "a", 1, "kvPlugins plugins with keys: 3, expected at most 2"},
		{"q", "b", 38_000, "kvChannelBytes bytes of the keys of all plugins: 15"},
		{"p", "a", 1, ""},
		{"q", "b", 38_000, ""},
	} {
		reply := set(step.plugin, step.key, step.size)
		limit, message, isRefused := strings.Cut(step.refused, " ")
		if !isRefused {
			if !reply.Success {
				t.Errorf("%+v: %v", step, reply.Error)
			}
			continue
		}
		if reply.Error == nil || reply.Error.Code != bus.KVQuotaExceeded || !strings.Contains(reply.Error.Message, message) ||
			!strings.HasSuffix(reply.Error.Message, "; to allow more, increase database.limits."+limit) {
			t.Errorf("%+v: %+v", step, reply)
		}
		same(t, limit+" counted", 1.0, r.refused(s, limit))
	}
	sameJSON(t, "a refused key", `{"success":true,"data":{"exists":false}}`,
		r.request(bus.KVGet, `{"plugin_name":"r","key":"a"}`))
}

func TestOutboundLinesWaitingAreLimited(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start(limited(config.Limits{OutboundWaiting: 2})))
	first := r.put(`{"message":"1","client_id":"1"}`)
	r.put(`{"message":"2"}`)
	reply := r.put(`{"message":"3"}`)
	same(t, "a third line", "outbound lines that wait: 3, expected at most 2; to allow more, increase "+
		"database.limits.outboundWaiting", reply.Error)
	same(t, "the first again", first, r.put(`{"message":"1","client_id":"1"}`))
	same(t, "counted", 1.0, r.refused(s, "outboundWaiting"))
	r.request(bus.OutboundSent, fmt.Sprintf(`{"message_id":%d}`, first.ID))
	if reply := r.put(`{"message":"3"}`); !reply.Success {
		t.Errorf("a third line after one was said: %+v", reply)
	}
}

// Whoever may only queue lines must not have the events of the channel refused: lines that are refused, and repetitions
// of one line, take no space.
func TestRefusedAndRepeatedLinesDoNotCountAsRows(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start(limited(config.Limits{OutboundWaiting: 2, ChannelRows: 4, ChannelBytes: 10_000})))
	lines := []string{`{"message":"1","client_id":"1"}`, `{"message":"2","client_id":"2"}`, `{"message":"3"}`,
		fmt.Sprintf(`{"message":%q}`, strings.Repeat("x", 4000))}
	for range 10 {
		for _, line := range lines {
			r.put(line)
		}
	}
	same(t, "refused because they wait", 20.0, r.refused(s, "outboundWaiting"))
	r.publish(bus.MessageLog, line("alice", "hello"))
	r.publish(bus.MessageLog, line("alice", "again"))
	r.publish(bus.MessageLog, line("alice", "and again"))
	r.waitUntilStored()
	same(t, "lines of chat", []string{"hello", "again"}, r.texts())
	same(t, "refused rows", 1.0, r.refused(s, "channelRows"))
}

// 20,000 joins became 26 MB that nothing removed. What is over a limit is not stored, no dead letter, and counted; what
// changes rows that exist is stored.
func TestRowsOfAChannelAreLimited(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start(limited(config.Limits{ChannelRows: 20})))
	join := func(i int) { r.publish(bus.UserJoined, fmt.Sprintf(`{"username":"u%d"}`, i)) }
	for i := range 100 {
		join(i)
	}
	r.publish(bus.StatsHighWater, `{"chat_count":7}`)
	r.publish(bus.StatusUpdate, `{"status_data":{"bot_rank":3,"watching_since":1763700000},"timestamp":1763700001}`)
	r.waitUntilStored()
	same(t, "refused", 81.0, r.refused(s, "channelRows"))
	same(t, "dead letters", 0, len(r.deadLetters()))
	users, err := r.openReadOnly().CountUsers(t.Context(), movies)
	if err != nil || users != 20 {
		t.Errorf("%d users, %v, want 20", users, err)
	}
	if rows := r.describeRows(); !strings.Contains(rows, `high 7/0; status {"bot_rank":3}`) {
		t.Errorf("rows %s, want the maximum and the status", rows)
	}
	reply := r.put(`{"message":"hi"}`)
	if !strings.HasPrefix(reply.Error, "rows of the channel: 21, expected at most 20;") {
		t.Errorf("a line to say: %+v", reply)
	}

	// A new process measures what is stored.
	r.stop(s)
	s = r.ready(r.start(limited(config.Limits{ChannelRows: 21})))
	natstest.Eventually(t, "the measurement", func() bool {
		return r.metric(s, "rosey_database_limit_used_ratio", "channelRows") > 0.9
	})
	join(200)
	join(201)
	r.waitUntilStored()
	same(t, "refused by the next process", 1.0, r.refused(s, "channelRows"))
}

func TestBytesOfAChannelAreLimited(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start(limited(config.Limits{ChannelBytes: 100_000})))
	for i := range 30 {
		r.publish(bus.MessageLog, line("a", fmt.Sprint(i)+strings.Repeat("x", 10_000)))
	}
	r.waitUntilStored()
	same(t, "lines", 9, len(r.lines()))
	same(t, "refused", 21.0, r.refused(s, "channelBytes"))
	// An ID takes space too.
	r.publish(bus.UserJoined, `{"username":"a"}`, strings.Repeat("i", 200)+"/db.user.joined")
	r.maintain()
	before := r.metric(s, "rosey_database_limit_used_ratio", "channelBytes")
	r.publish(bus.UserLeft, `{"username":"a"}`, strings.Repeat("j", 200)+"/db.user.left")
	r.maintain()
	if part := r.metric(s, "rosey_database_limit_used_ratio", "channelBytes") - before; part < 0.005 || part > 0.0052 {
		t.Errorf("a row with a long ID takes %v of 100,000 bytes", part)
	}
}

// Beyond the limit of people, those who are known already are served as before.
func TestPeopleAreLimited(t *testing.T) {
	r := newRig(t)
	r.stop(r.ready(r.start()))
	for range 2 { // with people of this process, and with those of an earlier one
		s := r.ready(r.start(limited(config.Limits{People: 5})))
		natstest.Eventually(t, "a measurement", func() bool { return r.metric(s, "rosey_database_store_bytes") > 0 })
		for i := range 10 {
			r.publish(bus.MessageLog, line(fmt.Sprint("u", i), "hi"))
			r.waitUntilStored()
		}
		same(t, "refused", 5.0, r.refused(s, "people"))
		r.publish(bus.MessageLog, line("U0", "hello"))
		r.waitUntilStored()
		same(t, "refused after a line of who is known", 5.0, r.refused(s, "people"))
		users, err := r.openReadOnly().CountUsers(t.Context(), movies)
		if err != nil || users != 5 {
			t.Errorf("%d users, %v, want 5", users, err)
		}
		r.stop(s)
	}
	same(t, "lines", 12, len(r.lines()))
}

func TestDeadLettersAreLimited(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start(limited(config.Limits{DeadLetters: 3})))
	for i := range 5 {
		r.publish(bus.MessageLog, fmt.Sprint(i))
	}
	r.waitUntilStored()
	letters := r.deadLetters()
	if len(letters) != 3 || string(letters[0].Payload) != "2" {
		t.Errorf("dead letters %+v, want the newest 3", letters)
	}
	same(t, "removed", 2.0, r.refused(s, "deadLetters"))
}

// 49 lines of 1 MB, from before there were limits, and a few requests took 874 MB.
func TestLargeRowsDoNotFillTheMemory(t *testing.T) {
	r := newRig(t)
	opened, err := r.sqlite(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 49 {
		event := store.Event{
			ID: fmt.Sprint(i), Channel: movies, At: time.UnixMilli(1763700000000 + int64(i)),
			Fact: store.ChatLine{Username: "a", Text: strings.Repeat("x", 1_000_000)},
		}
		if err := opened.Apply(t.Context(), []store.Event{event}); err != nil {
			t.Fatal(err)
		}
	}
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
	r.ready(r.start())
	r.request(bus.StatsRecentChat, `{"limit":1000}`)
	debug.FreeOSMemory()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const requests = 10
	for range requests {
		var lines []bus.RecentLine
		if err := json.Unmarshal([]byte(r.request(bus.StatsRecentChat, `{"limit":1000}`)), &lines); err != nil {
			t.Fatal(err)
		}
		if len(lines) == 0 || len(lines[0].Message) > 70_000 {
			t.Fatalf("%d lines", len(lines))
		}
	}
	runtime.ReadMemStats(&after)
	if allocated := (after.TotalAlloc - before.TotalAlloc) / requests; allocated > 20<<20 {
		t.Errorf("a request allocates %d bytes, want less than the lines have", allocated)
	}
}
