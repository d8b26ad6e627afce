package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/store"
)

func played(n float64, id, queuedBy string) store.Event {
	return event(n, store.MediaPlayed{Type: "yt", ID: id, Title: "title of " + id, Seconds: 90, QueuedBy: queuedBy})
}

// plays has reports of two bots, of which the first one does not know who queued the item.
func plays(t storeTest) {
	t.apply(played(0, "a", ""), played(59, "a", "bob"), played(100, "b", "alice"), played(118, "a", "bob"),
		played(178, "a", "carol"), event(300, store.MediaPlayed{Type: "yt", Title: "without an ID"}))
	t.apply(in(music, []store.Event{played(30, "a", "bob")})...)
	list := func(query store.PlayQuery) (found []string, last *store.Position) {
		for _, play := range must[[]store.Play](t)(t.Plays(t.Context(), movies, query)) {
			found = append(found, fmt.Sprintf("%v %s %s", play.At.Sub(at(0)), play.ID, play.QueuedBy))
			last = &store.Position{At: play.At, ID: play.EventID}
		}
		return found, last
	}
	found, _ := list(store.PlayQuery{Limit: 10})
	same(t, "plays", []string{"2m58s a carol", "1m40s b alice", "0s a bob"}, found)
	found, last := list(store.PlayQuery{Limit: 1})
	same(t, "the first page", []string{"2m58s a carol"}, found)
	found, _ = list(store.PlayQuery{Limit: 10, After: last})
	same(t, "the second page", []string{"1m40s b alice", "0s a bob"}, found)
	// A part of a play is none, also where the span begins in the middle of it.
	found, _ = list(store.PlayQuery{Limit: 10, Span: store.Span{From: at(10), To: at(178)}})
	same(t, "of a span", []string{"1m40s b alice"}, found)
	long := strings.Repeat("x", 5000)
	t.apply(played(1000, long, ""), played(1010, long, "bob"))
	if got := must[[]store.Play](t)(t.Plays(t.Context(), movies, store.PlayQuery{Limit: 1})); got[0].ID != long ||
		!got[0].At.Equal(at(1000)) {
		t.Errorf("a long ID: %.20s… at %v", got[0].ID, got[0].At)
	}
}

// pausedPlays has bots that find a film playing after pauses and jumps, from which its position does not tell when it
// began.
func pausedPlays(t storeTest) {
	found := func(began, at2 float64, id string) store.Event {
		return event(began, store.MediaPlayed{Type: "yt", ID: id, Title: id, Seconds: 5400, Found: at(at2)})
	}
	const day = 86400
	t.apply(played(0, "paused", "bob"), found(1200, 3000, "paused"), found(2500, 5000, "paused"),
		played(6000, "ahead", ""), found(3000, 6600, "ahead"), // somebody jumped to a later part
		played(8000, "other", ""), found(8300, 9000, "paused"), // a play that began without a bot
		played(10000, "twice", ""), played(13000, "twice", ""),
		played(20000, "live", ""), found(20000+day, 20000+day, "live"), found(20100+2*day, 20100+2*day, "live"))
	t.apply(in(music, []store.Event{played(8500, "paused", "")})...)
	var got []string
	for _, play := range must[[]store.Play](t)(t.Plays(t.Context(), movies, store.PlayQuery{Limit: 20})) {
		got = append(got, fmt.Sprintf("%s %v", play.ID, play.At.Sub(at(0)).Seconds()))
	}
	same(t, "plays", []string{"live 192900", "live 20000", "twice 13000", "twice 10000", "paused 8300", "other 8000",
		"ahead 6000", "paused 0"}, got)
}

func pluginActions(t storeTest) {
	did := func(n float64, user string, by store.PluginAction) store.Event {
		return event(n, store.Action{Username: user, Type: store.ActionPMCommand, Details: "details", Plugin: by})
	}
	roll := store.PluginAction{Plugin: "dice", Call: "A1", Did: "roll", Args: "2d6", Said: "7"}
	say := store.PluginAction{Plugin: "dice", Did: "say", Args: "hello", Problem: "muted"}
	quote := store.PluginAction{Plugin: "quotes", Call: "B2", Did: "quote"}
	t.apply(did(1, "alice", roll), did(1, "alice", roll), did(2, "plugin dice", say), did(3, "bob", quote))
	t.apply(did(4, "mod", store.PluginAction{})) // a command of the bot
	t.apply(in(music, []store.Event{did(2, "carol", roll)})...)
	list := func(query store.PluginActionQuery) (found []store.PluginActionRow) {
		return must[[]store.PluginActionRow](t)(t.PluginActions(t.Context(), movies, query))
	}
	all := list(store.PluginActionQuery{Limit: 10})
	want := []store.PluginActionRow{
		{At: at(3), Username: "bob", PluginAction: quote}, {At: at(2), Username: "plugin dice", PluginAction: say},
		{At: at(1), Username: "alice", PluginAction: roll},
	}
	places := []*store.Position{}
	for i, row := range all {
		places = append(places, &store.Position{At: row.At, ID: row.ID})
		all[i].ID = ""
	}
	same(t, "all", want, all)
	for _, test := range []struct {
		what  string
		query store.PluginActionQuery
		want  []string
	}{
		{"of one", store.PluginActionQuery{Plugin: "dice", Limit: 10}, []string{"say", "roll"}},
		{"of none", store.PluginActionQuery{Plugin: "dic", Limit: 10}, nil},
		{"the first page", store.PluginActionQuery{Limit: 1}, []string{"quote"}},
		{"the second page", store.PluginActionQuery{Limit: 1, After: places[0]}, []string{"say"}},
		{"the last page of one", store.PluginActionQuery{Plugin: "dice", Limit: 5, After: places[1]}, []string{"roll"}},
		{"of a span", store.PluginActionQuery{Limit: 5, Span: store.Span{From: at(2), To: at(3)}}, []string{"say"}},
	} {
		var got []string
		for _, row := range list(test.query) {
			got = append(got, row.Did)
		}
		same(t, test.what, test.want, got)
	}
}

func hours(t storeTest) {
	const hour = 3600
	// at(0) is 40 minutes after a full hour.
	start := at(0).Truncate(time.Hour)
	lines := []store.Event{
		chatLine(0, "alice", "1"), chatLine(10, "Alice", "2"), chatLine(hour, "ALICE", "3"), chatLine(1, "bob", "4"),
		chatLine(25*hour, "alice", "5"),
	}
	t.apply(lines...)
	t.apply(lines...)
	t.prune(store.PruneChat, at(1e6), 10)
	t.apply(lines...) // they were pruned, and counted before
	want := []store.HourCount{
		{At: start, Lines: 2}, {At: start.Add(time.Hour), Lines: 1}, {At: start.Add(25 * time.Hour), Lines: 1},
	}
	same(t, "hours of alice", want, t.hours(movies, "aLiCe")["aLiCe"])
	of := func(from, to float64) []store.HourCount {
		span := store.Span{From: at(from), To: at(to)}
		return must[[]store.HourCount](t)(t.ChatHours(t.Context(), movies, "alice", span))
	}
	same(t, "of a span that begins and ends in an hour", want[:1], of(10, 20))
	same(t, "of a span that ends with an hour", want[:1], of(10, start.Add(time.Hour).Sub(at(0)).Seconds()))
	midnight := at(0).Truncate(24 * time.Hour)
	same(t, "busiest day", store.HourCount{At: midnight, Lines: 4}, t.busiestDay(movies, 0))
	// In a zone where midnight is right after the first hour.
	ahead := midnight.Add(23 * time.Hour).Sub(start)
	midnight = start.Add(-23 * time.Hour)
	same(t, "busiest day elsewhere", store.HourCount{At: midnight, Lines: 3}, t.busiestDay(movies, ahead))
	same(t, "a channel without lines", store.HourCount{}, t.busiestDay(music, 0))
	between := func(from, to string) []store.HourCount {
		return must[[]store.HourCount](t)(t.ChannelHours(t.Context(), movies, from, to))
	}
	all := []store.HourCount{{At: start, Lines: 3}, want[1], want[2]}
	same(t, "hours of all", all, between("", ""))
	same(t, "hours of some", want, between("alice", "bob"))
	same(t, "hours of the others", []store.HourCount{{At: start, Lines: 1}}, between("bob", ""))
}

func joins(t storeTest) {
	t.apply(joined(1, "alice"), left(2, "alice"), joined(3, "Bob"), joined(9, "alice"))
	t.apply(in(music, []store.Event{joined(2, "alice")})...)
	got := must[[]store.Join](t)(t.Joins(t.Context(), movies, store.Span{From: at(2), To: at(9)}, 5))
	want := []store.Join{{At: at(3), Username: "Bob", Joined: true}, {At: at(2), Username: "alice"}}
	same(t, "joins", want, got)
	same(t, "the newest", want[:1], must[[]store.Join](t)(t.Joins(t.Context(), movies, store.Span{To: at(9)}, 1)))
}

func countSteps(t storeTest) {
	count := func(n float64, chat int) store.Event {
		return event(n, store.UserCount{Chat: chat, Connected: 2 * chat})
	}
	first := at(0).Truncate(time.Minute)
	base := first.Sub(at(0)).Seconds()
	t.apply(count(base, 1), count(base+59.999, 4), count(base+60, 2), count(base+300, 7))
	span := store.Span{From: first, To: first.Add(5 * time.Minute)}
	same(t, "steps", []store.CountStep{
		{At: first, Samples: 2, Chat: 5, Connected: 10, MaxChat: 4, MaxConnected: 8},
		{At: first.Add(time.Minute), Samples: 1, Chat: 2, Connected: 4, MaxChat: 2, MaxConnected: 4},
	}, must[[]store.CountStep](t)(t.CountSteps(t.Context(), movies, span, time.Minute)))
}

// chatPages reads all lines page by page, in both directions, with lines of one millisecond.
func chatPages(t storeTest) {
	var events []store.Event
	var all []string
	for i := range 25 {
		text := fmt.Sprintf("line %02d", i)
		events = append(events, chatLine(float64(i/3), []string{"alice", "Bob"}[i%2], text))
		all = append(all, text)
	}
	t.apply(events...)
	t.apply(in(music, []store.Event{chatLine(2, "alice", "music")})...)
	read := func(query store.ChatQuery) (texts []string, pages int) {
		texts = []string{}
		for pages = 1; ; pages++ {
			page := must[store.ChatPage](t)(t.Chat(t.Context(), movies, query))
			for _, line := range page.Lines {
				texts = append(texts, line.Text)
			}
			if !page.More {
				return texts, pages
			}
			query.After = page.Read
		}
	}
	query := store.ChatQuery{Limit: 4, MaxBytes: 1000, MaxRead: 100, Ascending: true}
	texts, pages := read(query)
	same(t, "in ascending order", all, slices.Sorted(slices.Values(texts)))
	same(t, "pages", 7, pages)
	ascending := texts
	query.Ascending = false
	texts, _ = read(query)
	slices.Reverse(texts)
	same(t, "in descending order", ascending, texts)
	query.MaxBytes = 30
	texts, pages = read(query)
	same(t, "lines of small pages", 25, len(texts))
	same(t, "small pages", 13, pages) // of two lines each
	query = store.ChatQuery{Limit: 100, MaxBytes: 1000, MaxRead: 10, Match: func(line store.RecentLine) bool {
		return line.Username == "Bob"
	}}
	texts, pages = read(query)
	same(t, "lines that match", 12, len(texts))
	same(t, "pages with few lines that match", 3, pages)
	query.Match, query.MaxRead, query.Span = nil, 100, store.Span{From: at(1), To: at(2)}
	texts, _ = read(query)
	same(t, "lines of a second", all[3:6], slices.Sorted(slices.Values(texts)))
	query.Until = time.Now().Add(-time.Hour)
	if texts, _ = read(query); len(texts) != 3 {
		t.Errorf("%v: a page without time never ends", texts)
	}
}

func userPages(t storeTest) {
	for i, name := range []string{"alice", "Bob", "carol", "d_ve", "d%ve", "Eve"} {
		t.apply(joined(float64(i), name), left(float64(10*i), name), chatLine(float64(7-i%3), name, "hi"))
		if i%2 == 0 {
			t.apply(chatLine(7, name, "again"))
		}
	}
	t.apply(in(music, []store.Event{chatLine(2, "zoe", "music")})...)
	read := func(query store.UserQuery) (names []string) {
		for {
			users := must[[]store.User](t)(t.UserList(t.Context(), movies, query))
			for _, user := range users {
				names = append(names, user.Username)
				whole, _, err := t.User(t.Context(), movies, user.Username)
				whole.Sessions, whole.Connected, whole.SessionStart = nil, 0, nil
				same(t, user.Username, whole, user)
				if err != nil {
					t.Fatal(err)
				}
			}
			if len(users) < query.Limit {
				return names
			}
			last := users[len(users)-1]
			query.After = &store.UserPlace{Name: store.Fold(last.Username)}
			switch query.Order {
			case store.OrderLines:
				query.After.Value = int64(last.Lines)
			case store.OrderFirstSeen:
				query.After.Value = last.FirstSeen.UnixMilli()
			case store.OrderLastSeen:
				query.After.Value = last.LastSeen.UnixMilli()
			case store.OrderName:
			}
		}
	}
	for order, want := range map[store.UserOrder]string{
		store.OrderLines:     "alice carol d%ve Bob d_ve Eve",
		store.OrderFirstSeen: "Eve d%ve d_ve carol Bob alice",
		store.OrderLastSeen:  "Eve d%ve d_ve carol Bob alice",
		store.OrderName:      "Eve d_ve d%ve carol Bob alice",
	} {
		names := read(store.UserQuery{Order: order, Descending: true, Limit: 2})
		same(t, string(order), strings.Fields(want), names)
		slices.Reverse(names)
		same(t, "ascending "+string(order), names, read(store.UserQuery{Order: order, Limit: 2}))
	}
	same(t, "with a filter", []string{"d_ve"}, read(store.UserQuery{Order: store.OrderName, Contains: "d_v", Limit: 9}))
	same(t, "by names", []string{"Bob", "Eve"},
		read(store.UserQuery{Order: store.OrderName, Names: []string{"eve", "bob"}, Limit: 9}))
}

func userTimes(t storeTest) {
	t.apply(chatLine(1, "aaron", "no session"), joined(0, "Bob"), left(30, "Bob"), joined(100, "Bob"), left(300, "Bob"),
		joined(0, "carol"), chatLine(50, "carol", "hi"), left(1, "zoe"))
	t.apply(in(music, []store.Event{joined(0, "bob")})...)
	watches := must[store.Watches](t)(t.Watches(t.Context(), movies))
	for _, until := range []time.Time{{}, time.Now().Add(time.Hour)} { // one user at a time, and all of them
		var got []string
		for after := ""; ; {
			times := must[[]store.UserTime](t)(t.UserTimes(t.Context(), movies,
				store.TimesQuery{Watches: watches, After: after, Until: until}))
			if len(times) == 0 {
				break
			}
			for _, user := range times {
				got = append(got, fmt.Sprint(user.Username, " ", user.Connected, " ",
					user.Longest.Leave.Sub(user.Longest.Join), " ", user.SessionStart != nil))
				after = store.Fold(user.Username)
			}
		}
		same(t, "times", []string{"aaron 0s 0s false", "Bob 3m50s 3m20s false", "carol 50s 50s true", "zoe 0s 0s false"}, got)
	}
}

func outboundPages(t storeTest) {
	t.fillOutbound(movies)
	line := store.OutboundLine{Text: "asked for", Asker: "film club", At: at(9)}
	must[int64](t)(t.Enqueue(t.Context(), movies, line))
	t.claim("a", 10, 1)
	list := func(query store.OutboundListQuery) (found []string) {
		query.Now = at(11)
		for {
			rows := must[[]store.OutboundRow](t)(t.OutboundLines(t.Context(), movies, query))
			for _, row := range rows {
				found = append(found, fmt.Sprintf("%s %s%s", row.State, row.Text, row.Asker))
			}
			if len(rows) < query.Limit {
				return found
			}
			last := rows[len(rows)-1]
			query.After = &store.OutboundPlace{EnqueuedAt: last.EnqueuedAt, ID: last.ID}
		}
	}
	all := []string{"waiting asked forfilm club", "waiting with client ID", "failed abandoned", "waiting failed",
		"sent sent", "claimed queued"}
	same(t, "all", all, list(store.OutboundListQuery{Limit: 4}))
	for _, state := range []store.OutboundState{store.OutboundIsWaiting, store.OutboundIsClaimed, store.OutboundIsSent,
		store.OutboundIsFailed, store.OutboundIsCancelled} {
		var want []string
		for _, one := range all {
			if strings.HasPrefix(one, string(state)+" ") {
				want = append(want, one)
			}
		}
		same(t, string(state), want, list(store.OutboundListQuery{Limit: 2, States: []store.OutboundState{state}}))
	}
	same(t, "several states", append(all[:3:3], all[3]), list(store.OutboundListQuery{Limit: 2,
		States: []store.OutboundState{store.OutboundIsWaiting, store.OutboundIsFailed}}))
	failed := must[[]store.OutboundRow](t)(t.OutboundLines(t.Context(), movies, store.OutboundListQuery{Limit: 1,
		States: []store.OutboundState{store.OutboundIsFailed}, Now: at(11)}))
	if got := failed[0]; got.LastError != "banned" || !got.ChangedAt.Equal(at(7)) || got.RetryCount != 1 {
		t.Errorf("%+v: want its error, and when it failed", got)
	}
}
