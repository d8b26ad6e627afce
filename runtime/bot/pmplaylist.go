package bot

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

func (s *session) pmPlaylist(r request) (work, error) {
	count := defaultPlaylistLines
	if r.args != "" {
		var err error
		if count, err = strconv.Atoi(r.args); err != nil || count < 1 {
			return nil, wrongUsage("playlist [COUNT]")
		}
	}
	list := s.room.Playlist
	lines := []string{fmt.Sprintf("%d items in the playlist", list.Count)}
	for i, item := range list.Items[:min(count, maxPlaylistLines, len(list.Items))] {
		mark := ""
		if item.UID == list.Current {
			mark = " (plays)"
		}
		lines = append(lines, fmt.Sprintf("%d. %s [%s]%s", i+1, item.Media.Title, length(item.Media), mark))
	}
	return now(lines...), nil
}

func (s *session) pmCurrent(request) (work, error) {
	playing := s.room.Playback
	if playing.Media.ID == "" {
		return now("Nothing plays"), nil
	}
	position := clock(int(playing.Position(time.Now())))
	if playing.Media.Seconds > 0 {
		position += " of " + clock(playing.Media.Seconds)
	}
	if playing.Paused {
		position += ", paused"
	}
	return now(fmt.Sprintf("%s (%s)", playing.Media.Title, position)), nil
}

// length is how long something is as players show it.
func length(media cytube.Media) string {
	if media.Seconds == 0 {
		return "live"
	}
	return clock(media.Seconds)
}

func clock(seconds int) string {
	if seconds < 3600 {
		return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
}

func (s *session) pmAdd(r request) (work, error) {
	link, option := cut(r.args)
	media, err := cytube.ParseMediaLink(link)
	if err != nil {
		return nil, err
	}
	if option != "" && option != "temp" {
		return nil, wrongUsage("add URL [temp]")
	}
	if err := s.checkPermission(permissionFor(media.Type), r.user.Rank); err != nil {
		return nil, err
	}
	// The bot may add what stays; who asked for it may not.
	temp := option == "temp" || !s.room.Allows(room.PermissionAddPermanent, r.user.Rank)
	added := s.expect(func(event cytube.Event) *outcome {
		switch event := event.(type) {
		case cytube.Queue:
			if event.Item.Media.ID == media.ID && s.room.IsMe(event.Item.QueuedBy) {
				return done()
			}
		case cytube.QueueFail:
			return failed(event.Message)
		}
		return nil
	})
	do := func(ctx context.Context) error { return s.conn.Enqueue(ctx, media, temp) }
	return s.asRequest(added, do, "Added "+link), nil
}

// permissionFor is what some kinds of media need beside the permission to add.
func permissionFor(kind string) room.Permission {
	switch kind {
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

// number reads the number of an item, which counts from 1, and returns its index.
func (s *session) number(word, usage string) (int, error) {
	number, err := strconv.Atoi(word)
	if err != nil {
		return 0, wrongUsage(usage)
	}
	if number < 1 || number > len(s.room.Playlist.Items) {
		return 0, fmt.Errorf("there is no item %d, the playlist has %d", number, len(s.room.Playlist.Items))
	}
	return number - 1, nil
}

func (s *session) pmRemove(r request) (work, error) {
	at, err := s.number(r.args, "remove NUMBER")
	if err != nil {
		return nil, err
	}
	item := s.room.Playlist.Items[at]
	removed := s.expect(func(event cytube.Event) *outcome {
		if event == (cytube.Delete{UID: item.UID}) {
			return done()
		}
		return nil
	})
	do := func(ctx context.Context) error { return s.conn.Delete(ctx, item.UID) }
	return s.asRequest(removed, do, "Removed "+item.Media.Title), nil
}

func (s *session) pmMove(r request) (work, error) {
	const usage = "move FROM TO"
	words := strings.Fields(r.args)
	if len(words) != 2 {
		return nil, wrongUsage(usage)
	}
	from, err := s.number(words[0], usage)
	if err != nil {
		return nil, err
	}
	to, err := s.number(words[1], usage)
	if err != nil {
		return nil, err
	}
	item := s.room.Playlist.Items[from]
	if from == to {
		return now(item.Media.Title + " is there already"), nil
	}
	place := s.room.Playlist.PlaceFor(from, to)
	moved := s.expect(func(event cytube.Event) *outcome {
		if event == (cytube.MoveVideo{UID: item.UID, After: place}) {
			return done()
		}
		return nil
	})
	do := func(ctx context.Context) error { return s.conn.Move(ctx, item.UID, place) }
	return s.asRequest(moved, do, fmt.Sprintf("Moved %s to %d", item.Media.Title, to+1)), nil
}

func (s *session) pmJump(r request) (work, error) {
	at, err := s.number(r.args, "jump NUMBER")
	if err != nil {
		return nil, err
	}
	item := s.room.Playlist.Items[at]
	plays := s.expect(func(event cytube.Event) *outcome {
		if event == (cytube.SetCurrent{UID: item.UID}) {
			return done()
		}
		return nil
	})
	do := func(ctx context.Context) error { return s.conn.JumpTo(ctx, item.UID) }
	return s.asRequest(plays, do, "Playing "+item.Media.Title), nil
}

func (s *session) pmNext(request) (work, error) {
	if s.room.Playback.Media.ID == "" {
		return nil, errors.New("nothing plays")
	}
	changed := s.expect(func(event cytube.Event) *outcome {
		switch event := event.(type) {
		case cytube.ChangeMedia:
			return done()
		case cytube.PlaylistMeta:
			if event.Count == 0 {
				return done()
			}
		}
		return nil
	})
	return s.asRequest(changed, s.conn.PlayNext, "Skipped"), nil
}

func (s *session) pmVoteskip(request) (work, error) {
	if !s.room.AllowVoteskip {
		return nil, errors.New("the channel does not allow it")
	}
	counted := s.expect(func(event cytube.Event) *outcome {
		if _, ok := event.(cytube.Voteskip); ok {
			return done()
		}
		return nil
	})
	return s.asRequest(counted, s.conn.Voteskip, "Voted"), nil
}
