package simulator

import (
	"strconv"
	"strings"
)

// rankOf returns a name's rank in the channel, whether the user is in the channel or not.
func (c *Channel) rankOf(name string) float64 {
	if rank, changed := c.ranks[strings.ToLower(name)]; changed {
		return rank
	}
	if account := c.srv.account(name); account != nil {
		return account.rankIn(c.name)
	}
	return 0
}

// rankChanged sends the user list again if the new rank may see more or less of it.
func (c *client) rankChanged(before float64) {
	if (before >= moderatorRank) != c.isModerator() {
		c.channel.sendUserlist(c)
	}
}

func (c *client) rankCommand(rest string) {
	words := strings.Split(rest, " ")
	rank := 0
	var err error
	if len(words) > 1 {
		rank, err = strconv.Atoi(words[1])
	}
	if len(words) < 2 || words[0] == "" || err != nil {
		c.emit("noflood", noFloodFrame{
			Action: "/rank", Msg: "Syntax: /rank <username> <rank>.  <rank> must be a positive integer > 1",
		})
		return
	}
	c.handleSetChannelRank(rankFrame{Name: words[0], Rank: float64(rank)})
}

func (c *client) handleSetChannelRank(request rankFrame) {
	const failed = "Updating user rank failed: "
	own := c.rank()
	if own < 3 {
		c.refused("ignored: a rank change needs rank 3")
		return
	}
	fail := func(words string) { c.emit("channelRankFail", errorFrame{Msg: words}) }
	name := strings.ToLower(request.Name)
	founders := func(rank float64) bool { return own == 4 && rank == 4 }
	switch {
	case !validUserName.MatchString(name):
		fail("Invalid target name " + request.Name)
		return
	case request.Rank < 1, request.Rank >= own && !founders(request.Rank):
		fail(failed + "You can't promote someone to a rank equal or higher than yourself, or demote them to below " +
			"rank 1.")
		return
	case name == strings.ToLower(c.name):
		fail(failed + "You can't promote or demote yourself.")
		return
	}
	receiver := c.channel.named(name)
	current := c.channel.rankOf(name)
	if receiver != nil {
		current = max(receiver.globalRank, receiver.channelRank)
	}
	if current >= own && !founders(current) {
		if receiver == nil {
			fail(failed + "You can't promote or demote someone with equal or higher rank than you.")
			return
		}
		fail(failed + "You can't promote or demote someone who has equal or higher rank than yourself")
		return
	}
	c.changeRank(receiver, request)
}

func (c *client) changeRank(receiver *client, request rankFrame) {
	channel := c.channel
	registered := receiver == nil || receiver.account != nil
	if registered {
		channel.ranks[strings.ToLower(request.Name)] = request.Rank
	}
	channel.record(Entry{Kind: KindRank, User: request.Name, Text: strconv.FormatFloat(request.Rank, 'f', -1, 64)})
	if receiver != nil {
		before := receiver.rank()
		receiver.channelRank = request.Rank
		receiver.rankChanged(before)
		receiver.emit("rank", receiver.rank())
	}
	if receiver == nil {
		own := c.rank()
		channel.broadcast("setUserRank", offlineRankFrame{rankFrame: request, UserRank: own})
	} else {
		channel.broadcast("setUserRank", request)
	}
	switch {
	case receiver == nil:
		channel.whisper(3, c.name+" set "+request.Name+"'s rank to "+strconv.FormatFloat(request.Rank, 'f', -1, 64))
	case !registered:
		c.emit("channelRankFail", noteFrame{Msg: "The user you promoted is not a registered account.  " +
			"Any rank changes are temporary and not stored in the database."})
	}
}
