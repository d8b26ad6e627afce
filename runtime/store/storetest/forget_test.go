package storetest

import (
	"slices"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// personEvents are events about a user and another one, in every table that names people.
func personEvents() []store.Event {
	return []store.Event{
		event(1, store.UserJoined{Username: "Änne"}),
		event(2, store.ChatLine{Username: "Änne", Text: "first"}),
		event(3, store.ChatLine{Username: "änne", Text: "second"}),
		event(4, store.ChatLine{Username: "bob", Text: "hello Änne"}),
		event(5, store.Action{Username: "ÄNNE", Type: store.ActionPMCommand, Details: "cmd=stats"}),
		event(6, store.MediaPlayed{Type: "yt", ID: "a", Title: "Alien", QueuedBy: "Änne"}),
		event(7, store.UserLeft{Username: "änne"}),
		event(8, store.UserJoined{Username: "bob"}),
	}
}

func (t storeTest) kinds(channel store.Channel, name string, limit int) (kinds []string) {
	t.Helper()
	var after store.PersonPosition
	for {
		rows := must[[]store.PersonRow](t)(t.PersonRows(t.Context(), channel, name, after, limit))
		for _, row := range rows {
			kinds, after = append(kinds, row.Kind), row.PersonPosition
			if row.At.IsZero() || len(row.Columns) < 3 || row.Columns["channel_id"] != nil {
				t.Errorf("row %+v", row)
			}
		}
		if len(rows) < limit {
			return kinds
		}
	}
}

// forgottenUsers checks that what is stored about a user is exported, is removed, and does not come back with a replay
// of the events or by an import, while others and what happens later are stored.
func forgottenUsers(t storeTest) {
	t.apply(personEvents()...)
	t.apply(in(music, personEvents())...)
	asked := must[int64](t)(t.Enqueue(t.Context(), movies, store.OutboundLine{Text: "hi", At: at(9), Asker: "änne"}))
	want := []string{"user", "session", "session", "line", "line", "action", "hour", "play", "outbound"}
	for _, limit := range []int{1, 2, 100} {
		same(t, "exported", want, t.kinds(movies, "ÄNNE", limit))
	}
	same(t, "of nobody", []string(nil), t.kinds(movies, "nobody", 100))
	before := t.read(music)
	hours := must[[]store.HourCount](t)(t.ChatHours(t.Context(), movies, "änne", store.Span{}))
	day := t.busiestDay(movies, 0)

	removed := must[map[string]int64](t)(t.ForgetPerson(t.Context(), movies, "ännE", at(10)))
	same(t, "removed", map[string]int64{
		"user": 1, "session": 2, "line": 2, "action": 1, "hour": int64(len(hours)), "play": 1, "outbound": 1}, removed)
	check := func(when string) {
		t.Helper()
		same(t, "left "+when, []string(nil), t.kinds(movies, "Änne", 100))
		lines := must[[]store.RecentLine](t)(t.RecentChat(t.Context(), movies, unlimited))
		same(t, "chat "+when, []store.RecentLine{{At: at(4), Username: "bob", Text: "hello Änne"}}, lines)
		plays := must[[]store.Play](t)(t.Plays(t.Context(), movies, store.PlayQuery{Limit: unlimited}))
		if len(plays) != 1 || plays[0].Title != "Alien" || plays[0].QueuedBy != "" {
			t.Errorf("plays %s: %+v", when, plays)
		}
		same(t, "the busiest day "+when, day, t.busiestDay(movies, 0))
	}
	check("at once")
	same(t, "another channel", before, t.read(music))
	t.apply(personEvents()...)
	check("after a replay")
	if importer, ok := t.Store.(store.Importer); ok {
		t.importAgain(importer)
		check("after an import")
	}
	same(t, "again", 0, must[map[string]int64](t)(t.ForgetPerson(t.Context(), movies, "ännE", at(10)))["line"])
	outbound := must[[]store.OutboundRow](t)(t.OutboundLines(t.Context(), movies,
		store.OutboundListQuery{Now: at(20), Limit: 10}))
	if len(outbound) != 1 || outbound[0].ID != asked || outbound[0].Asker != "" {
		t.Errorf("outbound lines %+v", outbound)
	}

	t.apply(event(11, store.UserJoined{Username: "Änne"}), event(12, store.ChatLine{Username: "Änne", Text: "back"}))
	same(t, "later", []string{"user", "session", "line", "hour"}, t.kinds(movies, "änne", 100))
	user, _, err := t.User(t.Context(), movies, "änne")
	if err != nil || user.Lines != 1 || !user.FirstSeen.Equal(at(11)) {
		t.Errorf("user %+v, %v", user, err)
	}
}

// importAgain imports what another program has of the user and of the other one.
func (t storeTest) importAgain(importer store.Importer) {
	t.Helper()
	events := personEvents()
	lines := slices.DeleteFunc(events, func(event store.Event) bool {
		_, isLine := event.Fact.(store.ChatLine)
		return !isLine
	})
	must[int](t)(importer.ImportChat(t.Context(), lines))
	err := importer.ImportUsers(t.Context(), movies, []store.ImportedUser{
		{Username: "Änne", FirstSeen: at(-9), LastSeen: at(3), Lines: 5, Connected: time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// cancelledMessages checks that only a message that waits can be taken back, and that one that was sent all the same
// counts as sent.
func cancelledMessages(t storeTest) {
	cancel := func(channel store.Channel, id int64, n float64) store.OutboundState {
		t.Helper()
		return must[store.OutboundState](t)(t.CancelOutbound(t.Context(), channel, id, at(n)))
	}
	waiting, claimed, failed := t.enqueue(movies, 1, "waiting"), t.enqueue(movies, 2, "claimed"), t.enqueue(movies, 3, "x")
	same(t, "of another channel", "", cancel(music, waiting, 4))
	same(t, "unknown", "", cancel(movies, 4711, 4))
	same(t, "waiting", store.OutboundIsCancelled, cancel(movies, waiting, 4))
	same(t, "again", store.OutboundIsCancelled, cancel(movies, waiting, 5))
	same(t, "due", []string{"claimed", "x"}, t.claimTexts("pod", 6, 10))
	same(t, "claimed", store.OutboundIsClaimed, cancel(movies, claimed, 7))
	t.reportSent(claimed, 8)
	same(t, "sent", store.OutboundIsSent, cancel(movies, claimed, 9))
	t.reportFailed(9, store.OutboundFailed{ID: failed, Error: "flood"})
	same(t, "after a failure", store.OutboundIsCancelled, cancel(movies, failed, 10))
	same(t, "nothing is due", []string(nil), t.claimTexts("pod", 1000, 10))
	rows := must[[]store.OutboundRow](t)(t.OutboundLines(t.Context(), movies,
		store.OutboundListQuery{Now: at(20), Limit: 10}))
	for _, row := range rows {
		if row.ID == waiting && (row.State != store.OutboundIsCancelled || row.LastError != "taken back") {
			t.Errorf("row %+v", row)
		}
	}
	// The bot said it just before its claim ended, and reports late.
	t.reportSent(failed, 11)
	same(t, "sent after all", store.OutboundIsSent, cancel(movies, failed, 12))
}
