package simulator

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"time"
)

// registeredRank is the global rank of an account.
const registeredRank = 1

// reservedName matches names that guests may not use in CyTube's default configuration.
var reservedName = regexp.MustCompile(`(?i)^(.*?[-_])?(admin(istrator)?|owner)([-_].*)?$`)

// rankIn returns the account's rank in a channel.
func (a *Account) rankIn(channel string) float64 {
	rank, ok := a.ChannelRanks[channel]
	if !ok {
		rank = a.Rank
	}
	return max(rank, registeredRank)
}

func (c *client) handleLogin(arg json.RawMessage) {
	var request struct {
		Name *string `json:"name"`
		PW   any     `json:"pw"` // CyTube ignores a password that is not a string
	}
	if json.Unmarshal(arg, &request) != nil {
		c.emit("errorMsg", errorFrame{Msg: "Invalid login frame"})
		return
	}
	if request.Name == nil || c.name != "" {
		return
	}
	if s := c.srv; time.Now().Before(s.noLoginsUntil) {
		c.refuseLogin(*request.Name, s.noLoginsReason)
		return
	}
	password, _ := request.PW.(string)
	if password == "" {
		c.loginGuest(*request.Name)
		return
	}
	c.loginAccount(*request.Name, password)
}

func (c *client) loginGuest(name string) {
	switch {
	case c.srv.guestTooSoon(c.address):
		c.refuseLogin(name, fmt.Sprintf("Guest logins are restricted to one per IP address per %v seconds.",
			c.srv.options.Limits.GuestLoginDelay.Seconds()))
	case !validUserName.MatchString(name):
		c.refuseLogin(name, "Invalid username.  Usernames must be 1-20 characters long and "+
			"consist only of characters a-z, A-Z, 0-9, -, or _.")
	case reservedName.MatchString(name):
		c.refuseLogin(name, "That username is reserved.")
	case c.srv.account(name) != nil:
		c.refuseLogin(name, "That username is registered.")
	case c.member && c.channel.named(name) != nil:
		c.refuseLogin(name, "That name is already in use on this channel.")
	default:
		c.srv.guestLogins[c.address] = time.Now()
		c.enter(name, nil)
	}
}

func (c *client) loginAccount(name, password string) {
	account := c.srv.account(name)
	switch {
	case !validUserName.MatchString(name):
		c.refuseLogin(name, `Invalid username "`+name+`"`)
	case account == nil:
		c.refuseLogin(name, "User does not exist")
	case account.Password != password:
		c.refuseLogin(name, "Invalid username/password combination")
	default:
		c.enter(account.Name, account)
	}
}

func (c *client) refuseLogin(name, reason string) {
	c.srv.record(Entry{Kind: KindLoginRefused, Address: c.address, User: name, Text: reason})
	c.srv.options.Logger.Info("login refused", slog.String("address", c.address), slog.String("reason", reason))
	c.emit("login", loginFrame{Error: reason})
}

// enter sets the client's name, and an account's rank in the channel.
func (c *client) enter(name string, account *Account) {
	c.name, c.account, c.globalRank = name, account, 0
	if account != nil {
		c.globalRank = registeredRank
	}
	c.srv.options.Logger.Info("logged in", slog.String("address", c.address), slog.String("user", name))
	c.srv.record(Entry{Kind: KindLogin, Address: c.address, User: name})
	c.emit("rank", c.rank())
	c.emit("login", loginFrame{Success: true, Name: name, Guest: account == nil})
	if c.member {
		c.channel.announce(c)
		c.recallMute()
	}
	if c.member && c.channel.isBanned(name) {
		c.kick(banned)
		c.channel.whisper(moderatorRank, name+" was kicked (name is banned)")
		return
	}
	if account != nil && c.channel != nil {
		c.takeChannelRank()
	}
}

// takeChannelRank applies an account's rank in the channel. A moderator needs no channel password, and gets more
// details about the users.
func (c *client) takeChannelRank() {
	wasModerator := c.isModerator()
	c.channelRank, c.hasChannelRank = c.channel.rankOf(c.name), true
	c.emit("rank", c.rank())
	switch {
	case c.member:
		if c.isModerator() != wasModerator {
			c.channel.sendUserlist(c)
		}
		c.channel.sendPlaylist(c)
	case c.isModerator() && c.owesPassword:
		c.channel.accept(c)
		c.emit("cancelNeedPassword")
	}
	c.channel.broadcast("setUserRank", rankFrame{Name: c.name, Rank: c.rank()})
}
