package command

import (
	"fmt"
	"strings"
)

// maxHelp bounds the list of commands, in bytes: about five lines of the chat.
const maxHelp = 1500

// help lists the commands that the user may give, those of plugins included, or tells about one of them.
func (h *Handler) help(r request) (task, error) {
	n := h.Registry.names.Load() // it is not nil: the command was found in it
	name, _ := cutWord(r.args)
	name = strings.TrimPrefix(strings.ToLower(name), n.settings.Prefix)
	if e := n.find(r.source, name, r.user.Name, r.user.Rank); e != nil {
		return reply(n.about(e)), nil
	}
	return reply(n.list(n.permitted(r.source, r.user.Name, r.user.Rank))), nil
}

// list returns the commands that are there, and which plugins are away.
func (n *names) list(permitted []*entry) string {
	var text strings.Builder
	text.WriteString("Commands: ")
	listed := 0
	for _, e := range permitted {
		synopsis := n.synopsis(e)
		switch {
		case !e.available:
			continue
		case text.Len()+len(synopsis) > maxHelp:
			fmt.Fprintf(&text, ", and more")
			return text.String() + n.listAway()
		case listed > 0:
			text.WriteString(", ")
		}
		text.WriteString(synopsis)
		listed++
	}
	return text.String() + n.listAway()
}

func (n *names) listAway() string {
	if len(n.away) == 0 {
		return ""
	}
	return "; away: " + strings.Join(n.away, ", ")
}

// about returns what a command is for.
func (n *names) about(e *entry) string {
	text := n.synopsis(e)
	if e.Help != "" {
		text += ": " + e.Help
	}
	if len(e.Examples) > 0 {
		text = strings.TrimSuffix(text, ".") + "; for example " + n.prefix(e) + e.renamed(e.Examples[0])
	}
	if !e.available {
		text += " (away)"
	}
	return text
}
