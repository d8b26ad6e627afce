package simulator

import (
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Options configures a Server. The zero value is a new CyTube server without accounts.
type Options struct {
	// Accounts are the registered users. Any other valid name may log in as a guest, without a password.
	Accounts []Account
	// Channels configures channels. Any other valid channel name works too; such a channel plays one live stream.
	Channels []ChannelOptions
	// PublicURL is the base URL in socketconfig, e.g. "https://cytube.example". Empty: the host of the request.
	PublicURL string
	// PingInterval and PingTimeout are the Engine.IO heartbeat. Zero: CyTube's 25 s and 120 s.
	PingInterval, PingTimeout time.Duration
	// UsercountInterval is the minimum time between two usercount broadcasts in a channel. CyTube sends the first
	// change at once and delays further ones for 10 s, so a client that joins soon after another gets its usercount
	// late. Zero: 10 s. Negative: every change is sent at once.
	UsercountInterval time.Duration
	// Limits limit visitors and addresses. Zero: no limits; CyTubeLimits returns the real server's.
	Limits Limits
	// Media are the items that the providers have. Any other queued item is a film of five minutes, or a live stream.
	Media []Media
	// LogLimit is the number of entries that a log keeps; the oldest are dropped first. Zero: 100000.
	LogLimit int
	// Logger logs connections and logins, but neither passwords nor chat. Nil: nothing is logged.
	Logger *slog.Logger
}

// Account is a registered user.
type Account struct {
	// Name is 1-20 of a-z, A-Z, 0-9, "-" and "_"; upper and lower case are the same name.
	Name string `json:"name"`
	// Password is in plain text. An account without a password cannot log in over a socket.
	Password string `json:"password"`
	// Rank is the rank in channels that are not in ChannelRanks: 1 registered, 2 moderator, 3 administrator, 4 owner,
	// 5 founder. Values below 1 stand for 1.
	Rank float64 `json:"rank"`
	// ChannelRanks overrides Rank by lower-case channel name.
	ChannelRanks map[string]float64 `json:"channelRanks,omitempty"`
}

// ChannelOptions configures a channel.
type ChannelOptions struct {
	// Name is 1-30 of a-z, A-Z, 0-9, "-" and "_"; CyTube folds it to lower case.
	Name string
	// Unregistered is a channel that no account has registered: CyTube tells whoever joins so.
	Unregistered bool
	// Password is required to join; moderators need none. Empty: no password.
	Password string
	// MOTD is the message of the day, HTML.
	MOTD string
	// Emotes of the channel.
	Emotes []Emote
	// Playlist of the channel; the first item plays at the start.
	Playlist []Media
	// Permissions override the rank that an action needs, e.g. {"chat": 1}.
	Permissions map[string]float64
	// ChatAntiflood is the channel's flood limit for chat lines of users below moderator. CyTube's default, if enabled,
	// is {4, 1, 4 * time.Second}. Zero burst: off.
	ChatAntiflood Flood
	// NewUserChatDelay and NewUserChatLinkDelay are how long a guest must be connected before they may chat, and send
	// links.
	NewUserChatDelay, NewUserChatLinkDelay time.Duration
	// AFKTimeout is the time without a line after which a user is away. Zero: 10 minutes. Negative: never.
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
	ID      string // the provider's ID: a URL for "hl", a video ID for "yt"
	Title   string
	Seconds int    // 0 for a live stream
	Type    string // CyTube's two-letter provider, e.g. "yt" or "hl"
	Temp    bool   // removed after it is played
	QueueBy string // who added it
}

const (
	defaultPingInterval      = 25 * time.Second
	defaultPingTimeout       = 120 * time.Second
	defaultUsercountInterval = 10 * time.Second
	defaultLogLimit          = 100_000
	defaultAFKTimeout        = 10 * time.Minute
)

// validChannelName and validUserName are CyTube's rules.
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

// DefaultChannel returns the options of a channel that is not configured: it plays a live stream.
func DefaultChannel(name string) ChannelOptions {
	return ChannelOptions{
		Name: name,
		MOTD: "Welcome to <i>" + name + "</i>",
		Playlist: []Media{{
			ID: "https://example.com/live/feature.m3u8", Title: "Livestream", Type: "hl", Temp: true, QueueBy: "owner",
		}},
	}
}
