package room

import (
	"strings"

	"rosey.dev/rosey/runtime/cytube"
)

// Permission is CyTube's name for something that needs a rank.
type Permission string

// The permissions that the bot checks.
const (
	PermissionChat         Permission = "chat"
	PermissionChatClear    Permission = "chatclear"
	PermissionKick         Permission = "kick"
	PermissionLeader       Permission = "leaderctl"
	PermissionSeePlaylist  Permission = "seeplaylist"
	PermissionAdd          Permission = "playlistadd"
	PermissionAddPermanent Permission = "addnontemp"
	PermissionAddLive      Permission = "playlistaddlive"
	PermissionAddList      Permission = "playlistaddlist"
	PermissionAddCustom    Permission = "playlistaddcustom"
	PermissionAddRawFile   Permission = "playlistaddrawfile"
	PermissionDelete       Permission = "playlistdelete"
	PermissionMove         Permission = "playlistmove"
	PermissionJump         Permission = "playlistjump"
	PermissionVoteskip     Permission = "voteskip"
	PermissionShuffle      Permission = "playlistshuffle"
	PermissionPoll         Permission = "pollctl"
)

// An unlocked playlist has wider permissions, which CyTube names by putting a letter in front of the usual name.
const (
	playlistPrefix = "playlist"
	unlockedPrefix = "o"
)

// permissions are the lowest ranks that may do something.
type permissions struct {
	// ranks is nil until the server has sent it.
	ranks map[string]float64
	// unlocked reports whether the playlist is open to users of lower ranks.
	unlocked bool
}

func (p *permissions) apply(event cytube.Event) {
	switch event := event.(type) {
	case cytube.Permissions:
		p.ranks = event.Ranks
	case cytube.PlaylistLocked:
		p.unlocked = !event.Locked
	}
}

func (p *permissions) allow(permission Permission, rank float64) bool {
	name := string(permission)
	if p.unlocked && strings.HasPrefix(name, playlistPrefix) && p.suffices(unlockedPrefix+name, rank) {
		return true
	}
	return p.suffices(name, rank)
}

func (p *permissions) suffices(name string, rank float64) bool {
	lowest, found := p.ranks[name]
	return found && rank >= lowest
}
