package simulator

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var drinkCommand = regexp.MustCompile(`^/d(-?[0-9]*)`)

// callDrinks counts the drinks of a line such as "/d cheers" or "/d3 cheers", and returns the rest of the line, if any.
func (c *client) callDrinks(text string, meta *chatMeta) (string, bool) {
	if !drinkCommand.MatchString(text) || !c.may("drink") {
		return text, true
	}
	match := drinkCommand.FindStringSubmatch(text)[1]
	count, err := strconv.Atoi(match)
	rest := strings.TrimPrefix(text, "/d")
	if err != nil { // not a number
		rest, count = strings.TrimSpace(rest)+" drink!", 1
	} else {
		rest = strings.TrimSpace(strings.Replace(rest, match, "", 1))
		switch {
		case count < -10000 || count > 10000:
			c.refused("ignored: more than 10000 drinks")
			return "", false
		case rest == "" && count <= 0:
			c.channel.addDrinks(c.name, count)
			return "", false
		}
		rest += fmt.Sprintf(" drink! (x%d)", count)
	}
	c.channel.addDrinks(c.name, count)
	meta.AddClass, meta.ForceShowName = "drink", true
	return rest, true
}

func (c *Channel) addDrinks(user string, count int) {
	c.drinks += count
	c.record(Entry{Kind: KindDrink, User: user, Count: c.drinks})
	c.broadcast("drinkCount", c.drinks)
}
