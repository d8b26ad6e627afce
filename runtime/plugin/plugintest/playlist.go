package plugintest

import (
	"slices"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/plugin"
)

// Film returns an item of the playlist with a title and a length in seconds, 0 for a live stream.
func Film(uid int, title string, seconds int) plugin.Item {
	return plugin.Item{UID: uid, Media: bus.Media{Type: "yt", ID: title, Title: title, Seconds: seconds}}
}

// Plays makes something play in the channel from its beginning, with what follows in the playlist. Nil: nothing plays.
// The plugin gets the events.
func (r *Room) Plays(now *plugin.Item, next ...plugin.Item) {
	r.mu.Lock()
	r.state.Next = slices.Clone(next)
	for _, one := range next {
		r.nextUID = max(r.nextUID, one.UID+1) // what is added gets others
	}
	if now != nil {
		r.nextUID = max(r.nextUID, now.UID+1)
	}
	events := r.begin(now)
	r.mu.Unlock()
	r.send(events)
}

// PlaysNext makes what follows play, as if what plays had ended, which is removed. The plugin gets the events.
func (r *Room) PlaysNext() {
	r.mu.Lock()
	events := r.next()
	r.mu.Unlock()
	r.send(events)
}

// Position puts what plays at a position in seconds, and pauses it or lets it go on. It stays there until the next
// call, as with a playback leader whose player is stuck.
func (r *Room) Position(seconds float64, paused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.Playing != nil {
		now := *r.state.Playing
		now.Position, now.Paused = seconds, paused
		r.state.Playing = &now
	}
}

// event is one that the server sends because of a change.
type event struct {
	name string
	data any
	call string // ID of the call because of which the plugin had something added
}

func (r *Room) send(events []event) {
	for _, one := range events {
		fields := map[string]any{"platform_data": one.data}
		if one.call != "" {
			fields["plugin"], fields["call"] = r.subjects.Name, one.call
		}
		r.Event(one.name, fields)
	}
}

// begin makes an item play. It is called with the lock, as next and remove are.
func (r *Room) begin(now *plugin.Item) []event {
	r.state.PlaylistItems = len(r.state.Next)
	if now == nil {
		r.state.Playing = nil
		return nil
	}
	r.state.PlaylistItems++
	r.state.Playing = &plugin.Playing{UID: now.UID, Media: now.Media}
	return []event{{name: "setCurrent", data: now.UID}, {name: plugin.MediaChanged, data: mediaOf(now.Media)}}
}

func mediaOf(media bus.Media) map[string]any {
	return map[string]any{"type": media.Type, "id": media.ID, "title": media.Title, "seconds": media.Seconds}
}

func (r *Room) next() []event {
	var events []event
	if r.state.Playing != nil {
		events = []event{{name: plugin.Deleted, data: map[string]any{"uid": r.state.Playing.UID}}}
	}
	if len(r.state.Next) == 0 {
		return append(events, r.begin(nil)...)
	}
	now := r.state.Next[0]
	r.state.Next = r.state.Next[1:]
	return append(events, r.begin(&now)...)
}

// add adds to the end, and plays it if nothing else plays. The first item has the UID 0, as on a CyTube server.
func (r *Room) add(action plugin.Action) (plugin.Item, []event) {
	item := plugin.Item{UID: r.nextUID, Media: bus.Media{
		Type: "yt", ID: idOf(action.URL), Title: "Film " + action.URL, Seconds: filmSeconds, QueuedBy: BotName,
	}}
	r.nextUID++
	media := mediaOf(item.Media)
	events := []event{{name: plugin.Queued, call: action.Call, data: map[string]any{
		"item": map[string]any{"uid": item.UID, "media": media, "queueby": BotName},
	}}}
	if r.state.Playing == nil {
		return item, append(events, r.begin(&item)...)
	}
	r.state.Next = append(r.state.Next, item)
	r.state.PlaylistItems++
	return item, events
}

// AddLate adds what the plugin has asked for by PlaylistAdd, as a slow server does after LeaveUnconfirmed. The plugin
// gets the events.
func (r *Room) AddLate(action plugin.Action) {
	r.mu.Lock()
	_, events := r.add(action)
	r.mu.Unlock()
	r.send(events)
}

// RefuseLate refuses what the plugin has asked for by PlaylistAdd, as a slow server does after LeaveUnconfirmed. The
// plugin gets the event.
func (r *Room) RefuseLate(action plugin.Action, why string) {
	r.send([]event{{name: plugin.QueueRefused, call: action.Call, data: map[string]any{
		"msg": why, "link": action.URL, "id": idOf(action.URL),
	}}})
}

func (r *Room) remove(uid int) []event {
	if r.state.Playing != nil && r.state.Playing.UID == uid {
		return r.next()
	}
	isMeant := func(one plugin.Item) bool { return one.UID == uid }
	if slices.ContainsFunc(r.state.Next, isMeant) {
		r.state.Next = slices.DeleteFunc(slices.Clone(r.state.Next), isMeant)
		r.state.PlaylistItems--
	}
	return []event{{name: plugin.Deleted, data: map[string]any{"uid": uid}}}
}

// change does in the channel what the plugin asks for.
func (r *Room) change(verb plugin.Verb, action plugin.Action) bus.PluginOutcome {
	outcome := bus.PluginOutcome{Success: true, Outcome: bus.OutcomeDone}
	var events []event
	r.mu.Lock()
	switch verb {
	case plugin.PlaylistAdd:
		var item plugin.Item
		item, events = r.add(action)
		outcome.Item = &item
	case plugin.PlaylistSkip:
		now := r.state.Playing
		if now == nil || action.UID != 0 && action.UID != now.UID {
			r.mu.Unlock()
			return bus.PluginOutcome{Outcome: bus.OutcomeInvalid, Error: "something else plays by now"}
		}
		events = r.next()
	case plugin.PlaylistRemove:
		events = r.remove(action.UID)
	case plugin.PollOpen:
		r.openPoll(bus.Poll{
			Title: action.Title, Options: action.Options, Obscured: action.ObscureResults, Initiator: BotName,
		})
	case plugin.PollClose:
		if now := r.state.Poll; now != nil && action.Opened != 0 && action.Opened != now.Opened {
			r.mu.Unlock()
			return bus.PluginOutcome{Outcome: bus.OutcomeInvalid, Error: "another poll is open by now"}
		}
		r.closePoll()
	}
	r.mu.Unlock()
	r.send(events)
	return outcome
}
