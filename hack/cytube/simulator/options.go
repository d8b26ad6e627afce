package simulator

import (
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Options configures a Server. The zero value is a server like a freshly installed CyTube without accounts.
type Options struct {
	// Accounts are the registered users. Any other valid name may log in as a guest, without a password.
	Accounts []Account
	// Channels are the channels with a password, a message of the day or a playlist of their own. Any other valid
	// channel name works too and has one live stream playing.
	Channels []ChannelOptions
	// PublicURL is the base URL that socketconfig hands out, e.g. "https://cytube.example". Empty: the host that the
	// request was sent to.
	PublicURL string
	// PingInterval and PingTimeout are the Engine.IO heartbeat. Zero: 25 s and 120 s, as CyTube has them.
	PingInterval, PingTimeout time.Duration
	// UsercountInterval is the least time between two usercount broadcasts in a channel. CyTube sends the first
	// change at once and holds back what follows for 10 s, so a client that joins soon after somebody else gets its
	// usercount late. Zero: 10 s. Negative: every change is sent at once.
	UsercountInterval time.Duration
	// Limits are what one visitor or address may do. Zero: none; CyTubeLimits has the real server's.
	Limits Limits
	// Media is what the providers know. Anything else that is queued is a film of five minutes, or a live stream.
	Media []Media
	// LogLimit is how many entries a channel's log keeps; the oldest go first. Zero: 100000.
	LogLimit int
	// Logger hears about connections and logins, never about passwords or chat. Nil: nothing is logged.
	Logger *slog.Logger
}

// Account is a registered user.
type Account struct {
	// Name is 1-20 of a-z, A-Z, 0-9, "-" and "_"; upper and lower case are the same name.
	Name string `json:"name"`
	// Password is compared as it is. An account without one cannot log in over a socket.
	Password string `json:"password"`
	// Rank is the rank in every channel that ChannelRanks does not name: 1 registered, 2 moderator, 3 administrator,
	// 4 owner, 5 founder. Less than 1 counts as 1.
	Rank float64 `json:"rank"`
	// ChannelRanks overrides Rank by lower-case channel name.
	ChannelRanks map[string]float64 `json:"channelRanks,omitempty"`
}

// ChannelOptions is the state of a channel that clients are told when they join.
type ChannelOptions struct {
	// Name is 1-30 of a-z, A-Z, 0-9, "-" and "_"; CyTube folds it to lower case.
	Name string
	// Password that joinChannel must carry; moderators need none. Empty: an open channel.
	Password string
	// MOTD is the message of the day, HTML.
	MOTD string
	// Emotes of the channel.
	Emotes []Emote
	// Playlist of the channel; the first item is playing.
	Playlist []Media
	// Permissions override the rank that something needs, e.g. {"chat": 1}.
	Permissions map[string]float64
	// ChatAntiflood is the channel's own flood limit for chat lines of users below moderator. CyTube's, when somebody
	// switches it on, is {4, 1, 4 * time.Second}. Zero burst: off.
	ChatAntiflood Flood
	// NewUserChatDelay and NewUserChatLinkDelay are how long a guest must have been connected before they may chat,
	// and chat with links.
	NewUserChatDelay, NewUserChatLinkDelay time.Duration
	// AFKTimeout is after how long without a line somebody is away. Zero: 10 minutes. Negative: never.
	AFKTimeout time.Duration
}

func (o ChannelOptions) withDefaults() ChannelOptions {
	if o.AFKTimeout == 0 {
		o.AFKTimeout = defaultAFKTimeout
	}
	return o
}

// Emote is an element of the emoteList frame.
type Emote struct {
	Name   string `json:"name"`
	Source string `json:"source"` // regular expression that finds it in a line
	Image  string `json:"image"`  // URL
}

// Media is one playlist item.
type Media struct {
	ID      string // what the provider calls it: a URL for "hl", a video id for "yt"
	Title   string
	Seconds int    // 0 for a live stream
	Type    string // CyTube's two-letter provider, e.g. "yt" or "hl"
	Temp    bool   // removed after it was played
	QueueBy string // who added it
}

const (
	defaultPingInterval      = 25 * time.Second
	defaultPingTimeout       = 120 * time.Second
	defaultUsercountInterval = 10 * time.Second
	defaultLogLimit          = 100_000
	defaultAFKTimeout        = 10 * time.Minute
)

// validChannelName and validUserName are CyTube's own rules.
var (
	validChannelName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,30}$`)
	validUserName    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,20}$`)
)

func (o Options) withDefaults() Options {
	if o.PingInterval == 0 {
		o.PingInterval = defaultPingInterval
	}
	if o.PingTimeout == 0 {
		o.PingTimeout = defaultPingTimeout
	}
	if o.UsercountInterval == 0 {
		o.UsercountInterval = defaultUsercountInterval
	}
	if o.Limits.MessageLength == 0 {
		o.Limits.MessageLength = defaultMessageLength
	}
	if o.LogLimit <= 0 {
		o.LogLimit = defaultLogLimit
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) validate() error {
	if o.PingInterval < 0 || o.PingTimeout < 0 {
		return fmt.Errorf("ping interval %s, ping timeout %s: neither can be negative", o.PingInterval, o.PingTimeout)
	}
	if err := validatePublicURL(o.PublicURL); err != nil {
		return err
	}
	if err := o.Limits.validate(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, a := range o.Accounts {
		lower := strings.ToLower(a.Name)
		if !validUserName.MatchString(a.Name) {
			return fmt.Errorf("account name %q: expected 1-20 of a-z, A-Z, 0-9, - and _", a.Name)
		}
		if seen[lower] {
			return fmt.Errorf("account name %q: given twice", a.Name)
		}
		seen[lower] = true
	}
	for _, c := range o.Channels {
		if !validChannelName.MatchString(c.Name) {
			return fmt.Errorf("channel name %q: expected 1-30 of a-z, A-Z, 0-9, - and _", c.Name)
		}
		if err := c.ChatAntiflood.validate(); err != nil {
			return fmt.Errorf("antiflood of channel %s: %w", c.Name, err)
		}
	}
	return nil
}

func validatePublicURL(raw string) error {
	if raw == "" {
		return nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		return fmt.Errorf("public URL: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("public URL %q: expected http://host or https://host", raw)
	}
	return nil
}

// DefaultChannel is what a channel shows that nobody configured: something is on, as on any film evening.
func DefaultChannel(name string) ChannelOptions {
	return ChannelOptions{
		Name: name,
		MOTD: "Welcome to <i>" + name + "</i>",
		Playlist: []Media{{
			ID: "https://example.com/live/feature.m3u8", Title: "Livestream", Type: "hl", Temp: true, QueueBy: "owner",
		}},
	}
}
