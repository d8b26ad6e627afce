package simulator

// sendState sends the channel's state to a client that has joined. CyTube does not acknowledge joinChannel; these
// frames are the response, in the order of CyTube's modules.
func (c *Channel) sendState(m *client) {
	m.emit("setPermissions", c.permissions)
	m.emit("setPlaylistLocked", !c.openPlaylist)
	m.emit("emoteList", append([]Emote{}, c.emotes...))
	if m.name != "" {
		m.recallMute()
	}
	for _, line := range c.replay {
		m.emit("chatMsg", line)
	}
	m.emit("drinkCount", c.drinks)
	m.emit("channelCSSJS", noCSSJS)
	m.emit("setMotd", c.motd)
	m.emit("channelOpts", c.optsFrame())
	c.sendPlaylist(m)
	c.sendCurrentMedia(m)
	if m.hasChannelRank {
		// Frames that a client gets when its rank in the channel becomes known, which it already is.
		c.sendPlaylist(m)
	}
	if c.poll != nil {
		c.sendPoll("newPoll", m)
	}
	c.sendUserlist(m)
	if c.leader != nil {
		m.emit("setLeader", c.leader.name)
	}
}

// sendUserlist sends all users who are logged in; moderators get more details.
func (c *Channel) sendUserlist(m *client) {
	users := []userFrame{}
	for _, u := range c.members {
		if u.name != "" {
			users = append(users, u.userFrame(m.isModerator()))
		}
	}
	m.emit("userlist", users)
}

// noCSSJS is the payload of a channel without style sheet and script; the hash is the MD5 of an empty string.
var noCSSJS = map[string]string{
	"css": "", "cssHash": "1B2M2Y8AsgTpgAmY7PhCfg==", "js": "", "jsHash": "1B2M2Y8AsgTpgAmY7PhCfg==",
}

// optsFrame is the channelOpts payload with CyTube's defaults.
func (c *Channel) optsFrame() map[string]any {
	var password any = false
	if c.options.Password != "" {
		password = c.options.Password
	}
	flood := c.options.ChatAntiflood
	antiflood := map[string]any{"burst": 4, "sustained": 1, "cooldown": 4}
	if flood.Burst > 0 {
		antiflood = map[string]any{
			"burst": flood.Burst, "sustained": flood.Sustained, "cooldown": flood.Cooldown.Seconds(),
		}
	}
	return map[string]any{
		"allow_voteskip":                 true,
		"voteskip_ratio":                 skipRatio,
		"afk_timeout":                    max(0, c.options.AFKTimeout.Seconds()),
		"pagetitle":                      c.name,
		"maxlength":                      0,
		"externalcss":                    "",
		"externaljs":                     "",
		"chat_antiflood":                 flood.Burst > 0,
		"chat_antiflood_params":          antiflood,
		"show_public":                    false,
		"enable_link_regex":              true,
		"password":                       password,
		"allow_dupes":                    false,
		"torbanned":                      false,
		"block_anonymous_users":          false,
		"allow_ascii_control":            false,
		"playlist_max_per_user":          0,
		"new_user_chat_delay":            c.options.NewUserChatDelay.Seconds(),
		"new_user_chat_link_delay":       c.options.NewUserChatLinkDelay.Seconds(),
		"playlist_max_duration_per_user": 0,
	}
}

// defaultPermissions are the ranks that actions need in a new channel.
var defaultPermissions = map[string]float64{
	"seeplaylist":              -1,
	"playlistadd":              1.5,
	"playlistnext":             1.5,
	"playlistmove":             1.5,
	"playlistdelete":           2,
	"playlistjump":             1.5,
	"playlistaddlist":          1.5,
	"oplaylistadd":             -1,
	"oplaylistnext":            1.5,
	"oplaylistmove":            1.5,
	"oplaylistdelete":          2,
	"oplaylistjump":            1.5,
	"oplaylistaddlist":         1.5,
	"playlistaddcustom":        3,
	"playlistaddrawfile":       2,
	"playlistaddlive":          1.5,
	"exceedmaxlength":          2,
	"addnontemp":               2,
	"settemp":                  2,
	"playlistshuffle":          2,
	"playlistclear":            2,
	"pollctl":                  1.5,
	"pollvote":                 -1,
	"viewhiddenpoll":           1.5,
	"voteskip":                 -1,
	"viewvoteskip":             1.5,
	"mute":                     1.5,
	"kick":                     1.5,
	"ban":                      2,
	"motdedit":                 3,
	"filteredit":               3,
	"filterimport":             3,
	"emoteedit":                3,
	"emoteimport":              3,
	"playlistlock":             2,
	"leaderctl":                2,
	"drink":                    1.5,
	"chat":                     0,
	"chatclear":                2,
	"exceedmaxitems":           2,
	"deletefromchannellib":     2,
	"exceedmaxdurationperuser": 2,
}
