package simulator

// FormatMessage returns the HTML of a line.
var FormatMessage = formatMessage

// Bank has the lines of simulated people.
var Bank = bank

// ScriptedAction is an action of a script, without its pause.
type ScriptedAction struct{ Kind, User, Text string }

// Evening returns the first n actions of a script.
func Evening(seed uint64, n int) []ScriptedAction {
	e := newEvening(seed)
	actions := []ScriptedAction{}
	for range n {
		a := e.next()
		actions = append(actions, ScriptedAction{string(a.kind), a.user, a.text})
	}
	return actions
}
