package simulator

import "encoding/json"

// handler handles an event of a client; payload is nil if the client sent none.
type handler func(c *client, payload json.RawMessage)

// newHandlers returns the handlers of client events. Only the first two have an effect before the client has joined a
// channel.
func newHandlers() (always, inChannel map[string]handler) {
	always = map[string]handler{
		"joinChannel": (*client).handleJoinChannel,
		"login":       (*client).handleLogin,
	}
	inChannel = map[string]handler{
		"chatMsg": checked("chatMsg", (*client).handleChatMsg, field{"msg", "string"}, field{"meta", "object,optional"}),
		"pm": checked("pm", (*client).handlePM, field{"msg", "string"}, field{"to", "string"},
			field{"meta", "object,optional"}),
		"queue": checked("queue", (*client).handleQueue, field{"id", "string,boolean"}, field{"type", "string"},
			field{"pos", "string"}, field{"title", "string,boolean,optional"}, field{"duration", "number,optional"},
			field{"temp", "boolean,optional"}),
		"setTemp": checked("setTemp", (*client).handleSetTemp, field{"uid", "number"}, field{"temp", "boolean"}),
		"moveMedia": checked("moveMedia", (*client).handleMoveMedia, field{"from", "number"},
			field{"after", "string,number"}),
		"delete":   (*client).handleDelete,
		"jumpTo":   (*client).handleJumpTo,
		"playNext": func(c *client, _ json.RawMessage) { c.handlePlayNext() },
		"mediaUpdate": checked("mediaUpdate", (*client).handleMediaUpdate, field{"id", "string"},
			field{"currentTime", "number"}, field{"paused", "boolean,optional"}, field{"type", "string,optional"}),
		"playerReady":        func(c *client, _ json.RawMessage) { c.channel.sendCurrentMedia(c) },
		"requestPlaylist":    func(c *client, _ json.RawMessage) { c.handleRequestPlaylist() },
		"clearPlaylist":      func(c *client, _ json.RawMessage) { c.handleClearPlaylist() },
		"shufflePlaylist":    func(c *client, _ json.RawMessage) { c.handleShufflePlaylist() },
		"togglePlaylistLock": func(c *client, _ json.RawMessage) { c.handleTogglePlaylistLock() },
		"assignLeader":       checked("assignLeader", (*client).handleAssignLeader, field{"name", "string"}),
		"setMotd":            checked("setMotd", (*client).handleSetMOTD, field{"motd", "string"}),
		"newPoll": checked("newPoll", (*client).handleNewPoll, field{"title", "string"},
			field{"timeout", "number,optional"}, field{"obscured", "boolean"}, field{"retainVotes", "boolean,optional"},
			field{"opts", "array"}),
		"vote":        checked("vote", (*client).handleVote, field{"option", "number"}),
		"closePoll":   func(c *client, _ json.RawMessage) { c.handleClosePoll() },
		"voteskip":    func(c *client, _ json.RawMessage) { c.handleVoteskip() },
		"updateEmote": (*client).handleUpdateEmote,
		"removeEmote": (*client).handleRemoveEmote,
		"setChannelRank": checked("setChannelRank", (*client).handleSetChannelRank, field{"name", "string"},
			field{"rank", "number"}),
		"setPermissions": (*client).handleSetPermissions,
	}
	return always, inChannel
}

// checked returns a handler that first checks the payload's fields, and sends an error if they are invalid.
func checked[T any](event string, handle func(*client, T), fields ...field) handler {
	return func(c *client, payload json.RawMessage) {
		err := typecheck(payload, fields)
		var request T
		if err == nil {
			err = json.Unmarshal(payload, &request)
		}
		if err != nil {
			c.emit("errorMsg", errorFrame{Msg: "Unexpected error for message " + event + ": " + err.Error()})
			return
		}
		handle(c, request)
	}
}

// handle handles an event of the client. CyTube ignores unknown events.
func (c *client) handle(event string, payload json.RawMessage) {
	if h := c.srv.always[event]; h != nil {
		h(c, payload)
		return
	}
	if event == "channelPassword" {
		c.handleChannelPassword(payload)
		return
	}
	if h := c.srv.inChannel[event]; h != nil && c.member {
		h(c, payload)
	}
}
