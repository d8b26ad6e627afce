package simulator

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// The payloads of the server's frames, with the field names and types of the recorded ones.

type openFrame struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int64    `json:"pingInterval"` // ms
	PingTimeout  int64    `json:"pingTimeout"`  // ms
	MaxPayload   int      `json:"maxPayload"`   // maximum size of a client's packet, in bytes
}

type sidFrame struct {
	SID string `json:"sid"`
}

type errorFrame struct {
	Msg   string `json:"msg"`
	Alert bool   `json:"alert,omitempty"`
	Code  string `json:"code,omitempty"`
}

// noteFrame has the shape of an error, but reports success.
type noteFrame struct {
	Msg string `json:"msg"`
}

// noFloodFrame refuses an action of the client.
type noFloodFrame struct {
	Action string `json:"action"`
	Msg    string `json:"msg"`
}

type spamFrame struct {
	Reason string `json:"reason"`
}

type queueFailFrame struct {
	Msg  string `json:"msg"`
	Link any    `json:"link"`
	ID   any    `json:"id"` // as sent by the client
}

type clearFrame struct {
	ClearedBy string `json:"clearedBy"`
}

type voteskipFrame struct {
	Count int `json:"count"`
	Need  int `json:"need"`
}

type pollFrame struct {
	Title     string   `json:"title"`
	Options   []string `json:"options"`
	Counts    []any    `json:"counts"` // numbers, or text while they are hidden
	Initiator string   `json:"initiator"`
	Timestamp int64    `json:"timestamp"` // Unix ms
}

type uidFrame struct {
	UID int `json:"uid"`
}

type queueFrame struct {
	Item  playlistItemFrame `json:"item"`
	After any               `json:"after"` // uid, or "prepend"
}

type timeFrame struct {
	CurrentTime float64 `json:"currentTime"` // seconds, negative before the start
	Paused      bool    `json:"paused"`
}

type kickFrame struct {
	Reason string `json:"reason"`
}

type nameFrame struct {
	Name string `json:"name"`
}

type loginFrame struct {
	Success bool   `json:"success"`
	Name    string `json:"name,omitempty"`
	Guest   bool   `json:"guest,omitempty"`
	Error   string `json:"error,omitempty"`
}

type rankFrame struct {
	Name string  `json:"name"`
	Rank float64 `json:"rank"`
}

// offlineRankFrame is the rankFrame for a user who is not in the channel. CyTube includes the rank of the user who
// changed it.
type offlineRankFrame struct {
	rankFrame
	UserRank float64 `json:"userrank"`
}

type chatMeta struct {
	AddClass                   string `json:"addClass,omitempty"`
	AddClassToNameAndTimestamp bool   `json:"addClassToNameAndTimestamp,omitempty"`
	Action                     bool   `json:"action,omitempty"`
	ForceShowName              bool   `json:"forceShowName,omitempty"`
	Shadow                     bool   `json:"shadow,omitempty"`
	// ModFlair is the rank that a moderator shows.
	ModFlair float64 `json:"modflair,omitempty"`
}

// chatFrame is a chatMsg, or a pm if To is set.
type chatFrame struct {
	Username string   `json:"username"`
	Msg      string   `json:"msg"` // HTML
	Meta     chatMeta `json:"meta"`
	Time     int64    `json:"time"` // Unix ms
	To       string   `json:"to,omitempty"`
}

type userProfile struct {
	Image string `json:"image"`
	Text  string `json:"text"`
}

type userFrame struct {
	Name    string      `json:"name"`
	Rank    float64     `json:"rank"`
	Profile userProfile `json:"profile"`
	Meta    any         `json:"meta"`
}

type userMeta struct {
	AFK   bool `json:"afk"`
	Muted bool `json:"muted"`
}

// moderatorUserMeta is the metadata of a user for moderators.
type moderatorUserMeta struct {
	AFK     bool     `json:"afk"`
	Muted   bool     `json:"muted"`
	SMuted  bool     `json:"smuted"`
	Aliases []string `json:"aliases"`
	IP      string   `json:"ip"`
}

func (c *client) userFrame(forModerator bool) userFrame {
	f := userFrame{Name: c.name, Rank: c.rank(), Meta: userMeta{AFK: c.afk, Muted: c.muted && !c.shadowMuted}}
	if forModerator {
		f.Meta = moderatorUserMeta{
			AFK: c.afk, Muted: c.muted, SMuted: c.shadowMuted, Aliases: []string{c.name}, IP: cloak(c.address),
		}
	}
	return f
}

// cloak hides an address from moderators, as CyTube does: four groups of three characters, the same for the same
// address.
func cloak(address string) string {
	sum := sha256.Sum256([]byte(address))
	text := base64.RawURLEncoding.EncodeToString(sum[:])
	return strings.Join([]string{text[0:3], text[3:6], text[6:9], text[9:12]}, ".")
}

type mediaFrame struct {
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	Seconds  int      `json:"seconds"`
	Duration string   `json:"duration"`
	Type     string   `json:"type"`
	Meta     struct{} `json:"meta"`
}

type playlistItemFrame struct {
	Media   mediaFrame `json:"media"`
	UID     int        `json:"uid"`
	Temp    bool       `json:"temp"`
	QueueBy string     `json:"queueby"`
}

type playlistMetaFrame struct {
	Count   int    `json:"count"`
	RawTime int    `json:"rawTime"` // seconds
	Time    string `json:"time"`
}

type changeMediaFrame struct {
	mediaFrame
	timeFrame
}

// formatTime formats seconds as CyTube does: mm:ss, or with hours if there are any.
func formatTime(seconds int) string {
	if seconds < 3600 {
		return fmt.Sprintf("%02d:%02d", seconds/60, seconds%60)
	}
	return fmt.Sprintf("%02d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
}
