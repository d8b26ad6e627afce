package simulator

import "encoding/json"

func (c *client) handleJoinChannel(arg json.RawMessage) {
	var request struct {
		Name *string `json:"name"`
		PW   *string `json:"pw"`
	}
	if c.joinAsked {
		return
	}
	c.joinAsked = true
	if json.Unmarshal(arg, &request) != nil || request.Name == nil {
		return
	}
	channel, err := c.srv.channel(*request.Name)
	if err != nil {
		c.emit("errorMsg", errorFrame{Msg: "Invalid channel name.  Channel names may consist of 1-30 characters " +
			"in the set a-z, A-Z, 0-9, -, and _"})
		c.kick("Invalid channel name")
		return
	}
	c.channel = channel
	if c.account != nil {
		c.takeChannelRank()
	}
	if channel.isBanned(c.name) {
		c.kick(banned)
		return
	}
	password := channel.options.Password
	switch {
	case password == "" || request.PW != nil && *request.PW == password:
		channel.accept(c)
	case c.isModerator():
		channel.accept(c)
		c.emit("cancelNeedPassword")
	default:
		c.owesPassword = true
		c.emit("needPassword", request.PW != nil)
	}
}

// handleChannelPassword handles the password that needPassword requested.
func (c *client) handleChannelPassword(arg json.RawMessage) {
	if !c.owesPassword {
		return
	}
	var password string
	if json.Unmarshal(arg, &password) != nil || password != c.channel.options.Password {
		c.emit("needPassword", true)
		return
	}
	c.emit("cancelNeedPassword")
	c.channel.accept(c)
}
