package cytube

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDecodePlaylist(t *testing.T) {
	const wire = `{"media":{"id":"abc","title":"Alien","seconds":7020,"duration":"01:57:00","type":"yt","meta":{}},` +
		`"uid":4,"temp":true,"queueby":"owner"}`
	alien := Media{ID: "abc", Type: "yt", Title: "Alien", Seconds: 7020}
	item := Item{UID: 4, Media: alien, QueuedBy: "owner"}
	checkDecoded(t, map[string]Event{
		`["playlist",[` + wire + `]]`: Playlist{Items: []Item{item}},
		`["playlist",[]]`:             Playlist{Items: []Item{}},
		`["setPlaylistMeta",{"count":3,"rawTime":61,"time":"x"}]`: PlaylistMeta{3},
		`["setPlaylistLocked",true]`:                              PlaylistLocked{true},
		`["queue",{"item":` + wire + `,"after":2}]`:               Queue{Item: item, After: Place{UID: 2}},
		`["queue",{"item":` + wire + `,"after":"prepend"}]`:       Queue{Item: item, After: Place{First: true}},
		`["queueFail",{"msg":"no","link":"x","id":false}]`:        QueueFail{Message: "no"},
		`["queueFail",{"msg":"no","link":"x","id":"abc"}]`:        QueueFail{"abc", "no"},
		`["delete",{"uid":4}]`:                                    Delete{4},
		`["moveVideo",{"from":4,"after":"append"}]`:               MoveVideo{UID: 4, After: Place{Last: true}},
		`["setTemp",{"uid":4,"temp":true}]`:                       Unknown{},
		`["setCurrent",4]`:                                        SetCurrent{4},
		`["changeMedia",{"id":"abc","title":"Alien","seconds":7020,"type":"yt","currentTime":-3,"paused":true}]`: ChangeMedia{
			Media: alien, Position: -3, Paused: true},
		`["mediaUpdate",{"currentTime":12.5,"paused":false}]`: MediaUpdate{12.5, false},
		`["setLeader","alice"]`:                               SetLeader{"alice"},
		`["voteskip",{"count":1,"need":3}]`:                   Voteskip{},
	})
}

func TestDecodeChannel(t *testing.T) {
	const options = `"pagetitle":"movienight","allow_voteskip":true,"voteskip_ratio":0.5,"afk_timeout":600,"password":"x"`
	want := ChannelOptions{AllowVoteskip: true}
	flooded := want
	flooded.Flood = &FloodLimit{Burst: 4, Sustained: 0.5, Cooldown: 4 * time.Second}
	const flood = `"chat_antiflood_params":{"burst":4,"sustained":0.5,"cooldown":4}`
	checkDecoded(t, map[string]Event{
		`["setPermissions",{"chat":1.5,"drink":2}]`: Permissions{
			map[string]float64{"chat": 1.5, "drink": 2}},
		`["channelOpts",{"chat_antiflood":false,` + flood + `,` + options + `}]`: want,
		`["channelOpts",{"chat_antiflood":true,` + flood + `,` + options + `}]`:  flooded,
		`["clearchat",{"clearedBy":"owner"}]`:                                    ClearChat{"owner"},
		`["errorMsg",{"msg":"no"}]`:                                              ErrorMsg{"no"},
		`["noflood",{"action":"chat","msg":"slow down"}]`:                        NoFlood{"chat", "slow down"},
		`["cooldown",100]`:                            Cooldown{100 * time.Millisecond},
		`["cooldown",-1]`:                             Cooldown{},
		`["cooldown",1e300]`:                          Cooldown{maxWait},
		`["spamFiltered",{"reason":"NEW_USER_CHAT"}]`: SpamFiltered{"NEW_USER_CHAT"},
	})
	const poll = `"title":"A &amp; B","options":["a","b"],"initiator":"mod","timestamp":1795421885821`
	shown := PollState{
		Title: "A &amp; B", Options: []string{"a", "b"}, Votes: []int{3, 0}, By: "mod",
		Opened: time.UnixMilli(1795421885821).UTC(),
	}
	obscured, hidden := shown, shown
	obscured.Obscured, hidden.Obscured, hidden.Votes = true, true, nil
	unknown := shown
	unknown.Votes = nil
	many := PollState{Options: slices.Repeat([]string{"a"}, maxOptions), Votes: make([]int, maxOptions)}
	checkDecoded(t, map[string]Event{
		`["newPoll",{` + poll + `,"counts":[3,0]}]`:          NewPoll(shown),
		`["updatePoll",{` + poll + `,"counts":["3?","0?"]}]`: PollUpdate(obscured),
		`["updatePoll",{` + poll + `,"counts":["?","?"]}]`:   PollUpdate(hidden),
		`["updatePoll",{` + poll + `,"counts":[1]}]`:         PollUpdate(unknown),
		`["newPoll",{"options":["a"` + strings.Repeat(`,"a"`, maxOptions) + `],"counts":[0` +
			strings.Repeat(",0", maxOptions) + `]}]`: NewPoll(many),
		`["closePoll"]`: PollClosed{},
	})
	muted := NoFlood{"chat", "You have been muted on this channel."}
	if !muted.IsMute() || (NoFlood{"chat", "slow down"}).IsMute() {
		t.Error("a mute is not distinguished from other refusals")
	}
}
