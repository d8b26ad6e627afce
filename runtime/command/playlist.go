package command

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/room"
)

const (
	defaultPlaylistLines = 10
	maxPlaylistLines     = 30
)

var errNothingPlays = errors.New("nothing is playing")

func (h *Handler) playlist(r request) (task, error) {
	count := defaultPlaylistLines
	if r.args != "" {
		var err error
		if count, err = strconv.Atoi(r.args); err != nil || count < 1 {
			return nil, errUsage
		}
	}
	list := h.Room.Playlist
	lines := []string{fmt.Sprintf("%d items in the playlist", list.Count)}
	for i, item := range list.Items[:min(count, maxPlaylistLines, len(list.Items))] {
		mark := ""
		if item.UID == list.Current {
			mark = " (playing)"
		}
		lines = append(lines, fmt.Sprintf("%d. %s [%s]%s", i+1, item.Media.Title, mediaLength(item.Media), mark))
	}
	return reply(lines...), nil
}

func (h *Handler) current(request) (task, error) {
	playback := h.Room.Playback
	if playback.Media.ID == "" {
		return reply("Nothing is playing"), nil
	}
	position := room.FormatClock(playback.Position(time.Now()))
	if playback.Media.Seconds > 0 {
		position += " of " + mediaLength(playback.Media)
	}
	if playback.Paused {
		position += ", paused"
	}
	return reply(fmt.Sprintf("%s (%s)", playback.Media.Title, position)), nil
}

func mediaLength(media cytube.Media) string {
	if media.Seconds == 0 {
		return "live"
	}
	return room.FormatClock(float64(media.Seconds))
}

func (h *Handler) add(r request) (task, error) {
	link, option := cutWord(r.args)
	media, err := cytube.ParseMediaLink(link)
	if err != nil {
		return nil, err // written for the user
	}
	if option != "" && option != "temp" {
		return nil, errUsage
	}
	if err := h.checkPermission(permissionFor(media.Type), r.user.Rank); err != nil {
		return nil, err
	}
	// The bot may add permanent items even where the moderator may not.
	temp := option == "temp" || !h.Room.Allows(room.PermissionAddPermanent, r.user.Rank)
	mayLive := h.Room.Allows(room.PermissionAddLive, r.user.Rank)
	return func(ctx context.Context) ([]string, error) {
		if _, err := h.addFor(ctx, &addition{media: media, temp: temp, mayLive: mayLive}); err != nil {
			return nil, err
		}
		return []string{"Added " + link}, nil
	}, nil
}

// addFor is enqueue for somebody who may add live streams or not. Only when the server has looked a link up it is known
// that it is a stream, on YouTube for example, and the server asks for the permission of the bot: such an item is
// removed again, also if it comes after addFor has returned: late, or as another one of a list.
func (h *Handler) addFor(ctx context.Context, one *addition) (cytube.Item, error) {
	item, err := h.enqueue(ctx, one)
	if err != nil || item.Media.Seconds > 0 || one.mayLive {
		return item, err
	}
	if err := h.Conn.Delete(ctx, item.UID); err != nil {
		return cytube.Item{}, err
	}
	return cytube.Item{}, &deniedError{
		fmt.Sprintf("it is a live stream and was removed again: the rank in the channel does not allow it (%s)",
			room.PermissionAddLive)}
}

// enqueue adds an item to the playlist and returns it as the server shows it: of a list the first item. What comes
// afterwards and is a live stream is removed unless it may be one.
func (h *Handler) enqueue(ctx context.Context, one *addition) (cytube.Item, error) {
	release, err := h.adding.take(ctx)
	if err != nil {
		return cytube.Item{}, err
	}
	defer release()
	h.late.begin(one)
	defer h.late.late()
	added := make(chan cytube.Item, 1)
	send := func(ctx context.Context) error { return h.Conn.Enqueue(ctx, one.media, one.temp) }
	err = h.actAndWait(ctx, send, func(event cytube.Event) (bool, error) {
		switch event := event.(type) {
		case cytube.Queue:
			if !h.Room.IsMe(event.Item.QueuedBy) || !h.late.mayBe(event.Item.Media, one.media) {
				return false, nil
			}
			select {
			case added <- event.Item:
				return true, nil
			default: // it is the second video of a list
				return false, nil
			}
		case cytube.QueueFail:
			if event.ID == "" || event.ID == one.media.ID {
				return refused(event.Message)
			}
		}
		return false, nil
	})
	if IsUnconfirmed(err) {
		return cytube.Item{}, err
	}
	h.late.answered(one)
	if err != nil {
		return cytube.Item{}, err
	}
	return <-added, nil
}

// permissionFor returns the permission that a type of media needs besides room.PermissionAdd. Empty: none.
func permissionFor(mediaType string) room.Permission {
	switch mediaType {
	case "yp":
		return room.PermissionAddList
	case "cu":
		return room.PermissionAddCustom
	case "fi", "cm":
		return room.PermissionAddRawFile
	case "li", "tw", "rt", "hl":
		return room.PermissionAddLive
	}
	return ""
}

// item returns the item with a number, which counts from 1, and its index, which counts from 0.
func (h *Handler) item(word string) (item cytube.Item, index int, err error) {
	number, err := strconv.Atoi(word)
	if err != nil {
		return cytube.Item{}, 0, errUsage
	}
	items := h.Room.Playlist.Items
	if number < 1 || number > len(items) {
		return cytube.Item{}, 0, fmt.Errorf("there is no item %d, the playlist has %d", number, len(items))
	}
	return items[number-1], number - 1, nil
}

func (h *Handler) remove(r request) (task, error) {
	item, _, err := h.item(r.args)
	if err != nil {
		return nil, err
	}
	remove := func(ctx context.Context) error { return h.Conn.Delete(ctx, item.UID) }
	return h.act(remove, is(cytube.Delete{UID: item.UID}), "Removed "+item.Media.Title), nil
}

func (h *Handler) move(r request) (task, error) {
	words := strings.Fields(r.args)
	if len(words) != 2 {
		return nil, errUsage
	}
	item, from, err := h.item(words[0])
	if err != nil {
		return nil, err
	}
	_, to, err := h.item(words[1])
	if err != nil {
		return nil, err
	}
	if from == to {
		return reply(item.Media.Title + " is there already"), nil
	}
	place := h.Room.Playlist.PlaceFor(from, to)
	move := func(ctx context.Context) error { return h.Conn.Move(ctx, item.UID, place) }
	done := fmt.Sprintf("Moved %s to %d", item.Media.Title, to+1)
	return h.act(move, is(cytube.MoveVideo{UID: item.UID, After: place}), done), nil
}

func (h *Handler) jump(r request) (task, error) {
	item, _, err := h.item(r.args)
	if err != nil {
		return nil, err
	}
	jump := func(ctx context.Context) error { return h.Conn.JumpTo(ctx, item.UID) }
	return h.act(jump, is(cytube.SetCurrent{UID: item.UID}), "Playing "+item.Media.Title), nil
}

func (h *Handler) next(request) (task, error) {
	if h.Room.Playback.Media.ID == "" {
		return nil, errNothingPlays
	}
	return h.skipping.during(h.act(h.Conn.PlayNext, func(event cytube.Event) (bool, error) {
		switch event := event.(type) {
		case cytube.ChangeMedia:
			return true, nil
		case cytube.PlaylistMeta:
			return event.Count == 0, nil
		}
		return false, nil
	}, "Skipped")), nil
}

func (h *Handler) voteskip(request) (task, error) {
	if !h.Room.AllowVoteskip {
		return nil, errors.New("the channel does not allow votes to skip")
	}
	return h.act(h.Conn.Voteskip, when(func(cytube.Voteskip) bool { return true }), "Voted"), nil
}

// pause pauses playback, or continues it if the bot has paused it. Only the leader of the channel can pause, so the bot
// makes itself the leader for that time.
func (h *Handler) pause(request) (task, error) {
	me, playback := h.Room.Self, h.Room.Playback
	isLeader := h.Room.IsMe(playback.Leader)
	switch {
	case playback.Media.ID == "":
		return nil, errNothingPlays
	case playback.Media.Seconds == 0:
		return nil, errors.New("a live stream cannot be paused")
	case isLeader && playback.Paused:
		release := func(ctx context.Context) error { return h.Conn.AssignLeader(ctx, "") }
		return h.act(release, is(cytube.SetLeader{}), "Playback continues"), nil
	}
	position := playback.Position(time.Now())
	sendPaused := func(ctx context.Context) error { return h.Conn.Lead(ctx, playback.Media, position, true) }
	paused := when(func(e cytube.MediaUpdate) bool { return e.Paused })
	pause := h.act(sendPaused, paused, "Paused; send pause again to continue")
	if isLeader {
		return pause, nil
	}
	return func(ctx context.Context) ([]string, error) {
		lead := func(ctx context.Context) error { return h.Conn.AssignLeader(ctx, me) }
		if err := h.actAndWait(ctx, lead, is(cytube.SetLeader{Name: me})); err != nil {
			return nil, err
		}
		return pause(ctx)
	}, nil
}
