package chaos

import (
	"cmp"
	"slices"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// InjectedFault is a fault that was injected, with its times in Unix milliseconds.
type InjectedFault struct {
	Fault

	// Target names the process, pod or node, for people.
	Target string
	// Started and Repaired are when the fault began and ended; Recovered is when everything was ready again.
	Started, Repaired, Recovered int64
}

// Absence summarizes the effects of one kind of fault.
type Absence struct {
	Kind  Kind
	Count int
	// Longest is the longest time without a working bot in the channel, in milliseconds.
	Longest int64
	// Recovery is the longest time from the end of a fault until everything was ready, in milliseconds.
	Recovery int64
}

// Absences returns for each kind how long the channel was without the bot, longest first.
func Absences(seen Seen, faults []InjectedFault) []Absence {
	byKind := map[Kind]*Absence{}
	for i, fault := range faults {
		until := seen.End
		if i+1 < len(faults) {
			until = faults[i+1].Started
		}
		a := byKind[fault.Kind]
		if a == nil {
			a = &Absence{Kind: fault.Kind}
			byKind[fault.Kind] = a
		}
		a.Count++
		a.Longest = max(a.Longest, seen.gap(fault.Started, until), seen.deafness(fault))
		a.Recovery = max(a.Recovery, fault.Recovered-fault.Repaired)
	}
	var all []Absence
	for _, a := range byKind {
		all = append(all, *a)
	}
	slices.SortFunc(all, func(a, b Absence) int {
		return cmp.Or(cmp.Compare(b.Longest, a.Longest), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

// gap returns the longest time between from and until in which the bot's name was not in the user list.
func (s Seen) gap(from, until int64) int64 {
	return longest(without([]interval{{from, until}}, s.stays(s.Bot))).length()
}

// deafness returns how long a leader that received nothing stayed in the user list, until another bot joined or the
// fault ended.
func (s Seen) deafness(fault InjectedFault) int64 {
	if !fault.deaf() {
		return 0
	}
	for _, e := range s.Entries {
		if e.Kind == simulator.KindJoin && s.isBot(e) && e.Time >= fault.Started && e.Time < fault.Repaired {
			return e.Time - fault.Started
		}
	}
	return fault.Repaired - fault.Started
}
