package bot

import (
	"strings"

	"rosey.dev/rosey/runtime/cytube"
)

// moderatorRank is from which rank on CyTube counts somebody as a moderator.
const moderatorRank = 2

// CyTube's names for what needs a rank.
const (
	permissionChat           = "chat"
	permissionChatClear      = "chatclear"
	permissionKick           = "kick"
	permissionLeader         = "leaderctl"
	permissionSeePlaylist    = "seeplaylist"
	permissionAdd            = "playlistadd"
	permissionAddNonTemp     = "addnontemp"
	permissionAddLive        = "playlistaddlive"
	permissionAddList        = "playlistaddlist"
	permissionAddCustom      = "playlistaddcustom"
	permissionAddRawFile     = "playlistaddrawfile"
	permissionDelete         = "playlistdelete"
	permissionMove           = "playlistmove"
	permissionJump           = "playlistjump"
	permissionVoteskip       = "voteskip"
	unlockedPermissionPrefix = "o"
)

// permissions say which rank may do what.
type permissions struct {
	ranks map[string]float64
	// unlocked: the playlist is, and has wider permissions under names of their own.
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

// allow says no to what the server has not named, and to everything until it has named any.
func (p *permissions) allow(permission string, rank float64) bool {
	if p.unlocked && strings.HasPrefix(permission, "playlist") {
		if need, known := p.ranks[unlockedPermissionPrefix+permission]; known && rank >= need {
			return true
		}
	}
	need, known := p.ranks[permission]
	return known && rank >= need
}
