package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/room"
	"rosey.dev/rosey/runtime/status"
)

// maxReason bounds the reason of a kick, in characters.
const maxReason = 200

// Act is something that a plugin does in the channel.
type Act struct {
	Verb    bus.PluginVerb
	Request bus.PluginActRequest
	// Plugin is whose it is.
	Plugin string
	// Asker is the name of the user because of whose call it is done, and Rank the lowest rank that the user must have.
	// No Asker: the plugin does it by itself.
	Asker string
	Rank  float64
}

// Deed is what is left to do of an Act. It returns the item that bus.VerbPlaylistAdd has added, and nil for other
// verbs. If the Act is only checked, nothing is left to do, and of the item type and ID are known, as the link has it.
type Deed func(ctx context.Context) (added *cytube.Item, err error)

// PrepareAct checks a request of a plugin, and returns what is left to do: the Deed waits for the server to show the
// effect, up to confirmTimeout. PrepareAct reads the Room, so it must be called on the goroutine that calls Handle; the
// Deed may be called on another one. A request that is not permitted is a *deniedError: see IsDenied.
func (h *Handler) PrepareAct(a Act) (Deed, error) {
	if err := h.checkAsker(&a); err != nil {
		return nil, err
	}
	prepare, known := acts[a.Verb]
	if !known {
		return nil, fmt.Errorf("%q is nothing that a plugin can do", a.Verb)
	}
	if err := h.checkBot(prepare.permission); err != nil {
		return nil, err
	}
	return prepare.run(h, a)
}

// IsDenied reports whether an error of PrepareAct means that somebody may not do it.
func IsDenied(err error) bool {
	_, denied := errors.AsType[*deniedError](err)
	return denied
}

// checkAsker looks the asker up, whose rank may have changed since the call.
func (h *Handler) checkAsker(a *Act) error {
	if a.Asker == "" {
		return nil
	}
	user, present := h.Room.Users.Find(a.Asker)
	switch {
	case !present:
		return &deniedError{a.Asker + " is not in the channel any more"}
	case user.Rank < a.Rank:
		return &deniedError{fmt.Sprintf("the rank of %s is %g, and it needs %g", user.Name, user.Rank, a.Rank)}
	}
	a.Rank = user.Rank
	return nil
}

func (h *Handler) checkBot(permission room.Permission) error {
	if permission != "" && !h.Room.Allows(permission, h.Room.Rank) {
		return &deniedError{fmt.Sprintf("the bot's rank in the channel does not allow it (%s)", permission)}
	}
	return nil
}

// acts are what plugins can do, and what the bot needs for it in the channel.
var acts = map[bus.PluginVerb]struct {
	permission room.Permission
	run        func(h *Handler, a Act) (Deed, error)
}{
	bus.VerbPlaylistAdd:     {room.PermissionAdd, (*Handler).actAdd},
	bus.VerbPlaylistSkip:    {room.PermissionJump, byTask((*Handler).actSkip)},
	bus.VerbPlaylistRemove:  {room.PermissionDelete, byTask((*Handler).actRemove)},
	bus.VerbPlaylistJump:    {room.PermissionJump, byTask((*Handler).actJump)},
	bus.VerbPlaylistShuffle: {room.PermissionShuffle, byTask((*Handler).actShuffle)},
	bus.VerbPollOpen:        {room.PermissionPoll, byTask((*Handler).actOpenPoll)},
	bus.VerbPollClose:       {room.PermissionPoll, byTask((*Handler).actClosePoll)},
	bus.VerbKick:            {room.PermissionKick, byTask((*Handler).actKick)},
}

// byTask returns what prepares a task as a Deed.
func byTask(prepare func(h *Handler, a Act) (task, error)) func(h *Handler, a Act) (Deed, error) {
	return func(h *Handler, a Act) (Deed, error) {
		prepared, err := prepare(h, a)
		if err != nil {
			return nil, err
		}
		if a.Request.Check {
			prepared = reply()
		}
		return func(ctx context.Context) (added *cytube.Item, err error) {
			_, err = prepared(ctx)
			return nil, err
		}, nil
	}
}

// actAdd adds an item. It stays in the playlist only if the asker could add such an item.
func (h *Handler) actAdd(a Act) (Deed, error) {
	media, err := cytube.ParseMediaLink(strings.TrimSpace(a.Request.URL))
	if err != nil {
		return nil, err
	}
	kind := permissionFor(media.Type)
	if err := h.checkBot(kind); err != nil {
		return nil, err
	}
	if err := h.checkAdder(a, kind); err != nil {
		return nil, err
	}
	if a.Request.Check {
		return func(context.Context) (*cytube.Item, error) { return &cytube.Item{Media: media}, nil }, nil
	}
	temp := a.Asker == "" || !h.Room.Allows(room.PermissionAddPermanent, a.Rank)
	rank := a.Rank
	if a.Asker == "" {
		rank = registeredRank
	}
	one := &addition{
		media: media, temp: temp, mayLive: h.Room.Allows(room.PermissionAddLive, rank),
		plugin: a.Plugin, call: a.Request.Call,
	}
	return func(ctx context.Context) (*cytube.Item, error) {
		item, err := h.addFor(ctx, one)
		if err != nil {
			return nil, err
		}
		return &item, nil
	}, nil
}

// checkAdder returns an error unless the asker may add media that need a permission, which is empty if they need none
// beside room.PermissionAdd: the bot, whose rank is higher, would add them. Without an asker they must be such as the
// channel lets registered users add.
func (h *Handler) checkAdder(a Act, kind room.Permission) error {
	if a.Asker == "" {
		if kind != "" && !h.Room.Allows(kind, registeredRank) {
			return &deniedError{fmt.Sprintf("url: registered users may not add this (%s), so nobody can have a plugin add it "+
				"but by a call of somebody who may", kind)}
		}
		return nil
	}
	for _, permission := range []room.Permission{room.PermissionAdd, kind} {
		if permission != "" && !h.Room.Allows(permission, a.Rank) {
			return &deniedError{fmt.Sprintf("the rank of %s in the channel does not allow it (%s)", a.Asker, permission)}
		}
	}
	return nil
}

// actSkip skips what plays, if it is still what was meant.
func (h *Handler) actSkip(a Act) (task, error) {
	if uid := a.Request.UID; uid != 0 && uid != h.Room.Playlist.Current {
		return nil, errors.New("something else plays by now")
	}
	return h.next(request{})
}

func (h *Handler) actRemove(a Act) (task, error) {
	if err := h.inPlaylist(a.Request.UID); err != nil {
		return nil, err
	}
	remove := func(ctx context.Context) error { return h.Conn.Delete(ctx, a.Request.UID) }
	return h.act(remove, is(cytube.Delete{UID: a.Request.UID}), ""), nil
}

func (h *Handler) actJump(a Act) (task, error) {
	if err := h.inPlaylist(a.Request.UID); err != nil {
		return nil, err
	}
	jump := func(ctx context.Context) error { return h.Conn.JumpTo(ctx, a.Request.UID) }
	return h.act(jump, is(cytube.SetCurrent{UID: a.Request.UID}), ""), nil
}

func (h *Handler) inPlaylist(uid int) error {
	for _, item := range h.Room.Playlist.Items {
		if item.UID == uid {
			return nil
		}
	}
	return fmt.Errorf("uid: %d is no item of the playlist", uid)
}

func (h *Handler) actShuffle(Act) (task, error) {
	shuffled := when(func(cytube.Playlist) bool { return true })
	return h.shuffling.during(h.act(h.Conn.ShufflePlaylist, shuffled, "")), nil
}

func (h *Handler) actOpenPoll(a Act) (task, error) {
	poll := cytube.Poll{Title: a.Request.Title, Options: a.Request.Options, Obscured: a.Request.ObscureResults}
	if poll.Title == "" || len(poll.Title) > cytube.MaxPollText {
		return nil, fmt.Errorf("title: %d bytes, expected 1 to %d", len(poll.Title), cytube.MaxPollText)
	}
	if len(poll.Options) == 0 || len(poll.Options) > cytube.MaxPollOptions {
		return nil, fmt.Errorf("options: %d, expected 1 to %d", len(poll.Options), cytube.MaxPollOptions)
	}
	for i, option := range poll.Options {
		if option == "" || len(option) > cytube.MaxPollText {
			return nil, fmt.Errorf("options[%d]: %d bytes, expected 1 to %d", i, len(option), cytube.MaxPollText)
		}
	}
	open := func(ctx context.Context) error { return h.Conn.OpenPoll(ctx, poll) }
	return h.polling.during(h.act(open, func(event cytube.Event) (bool, error) {
		switch event := event.(type) {
		case cytube.NewPoll:
			return h.Room.IsMe(event.By), nil
		case cytube.ErrorMsg:
			if strings.Contains(strings.ToLower(event.Message), "poll") {
				return refused(event.Message)
			}
		}
		return false, nil
	}, "")), nil
}

// actClosePoll closes the poll that is open, if it is still what was meant when it is its turn: CyTube closes whichever
// is open.
func (h *Handler) actClosePoll(a Act) (task, error) {
	if err := checkOpen(h.Room.Poll, a.Request.Opened); err != nil {
		return nil, err
	}
	closed := when(func(cytube.PollClosed) bool { return true })
	return h.polling.during(func(ctx context.Context) ([]string, error) {
		if err := checkOpen(h.poll.Load(), a.Request.Opened); err != nil {
			return nil, err
		}
		return h.act(h.Conn.ClosePoll, closed, "")(ctx)
	}), nil
}

// checkOpen returns an error unless a poll is open, and is the one that was opened at a time in milliseconds. 0: any.
func checkOpen(poll *room.Poll, opened int64) error {
	switch {
	case poll == nil || !poll.Open:
		return errors.New("no poll is open")
	case opened != 0 && poll.Opened.UnixMilli() != opened:
		return errors.New("another poll is open by now")
	}
	return nil
}

// actKick kicks a user of a lower rank than the asker. Without an asker, no moderator is kicked.
func (h *Handler) actKick(a Act) (task, error) {
	user, present := h.Room.Users.Find(a.Request.User)
	limit := float64(cytube.ModeratorRank)
	if a.Asker != "" {
		limit = a.Rank
	}
	switch {
	case !present:
		return nil, errors.New("user: there is no user of that name in the channel")
	case h.Room.IsMe(user.Name):
		return nil, errors.New("user: the bot does not kick itself")
	case user.Rank >= limit:
		return nil, &deniedError{fmt.Sprintf("the rank of %s is %g, and only lower ones than %g are kicked", user.Name,
			user.Rank, limit)}
	}
	return h.kickUser(user, status.OneLine(a.Request.Reason, maxReason), h.Speaker.DoYielding, ""), nil
}
