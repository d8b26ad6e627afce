package simulator

// FormatMessage makes the HTML of a line.
var FormatMessage = formatMessage

// Bank is what scripted people say.
var Bank = bank

// ScriptedAction is one thing of a script, without its pause.
type ScriptedAction struct{ Kind, User, Text string }

// Evening returns the first n things of a script.
func Evening(seed uint64, n int) []ScriptedAction {
	e := newEvening(seed)
	actions := []ScriptedAction{}
	for range n {
		a := e.next()
		actions = append(actions, ScriptedAction{string(a.kind), a.user, a.text})
	}
	return actions
}
