package chaos

import (
	"cmp"
	"slices"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// Happened is a fault of a run with its times in Unix milliseconds.
type Happened struct {
	Fault

	// Target says what it hit, for people.
	Target string
	// Began and Mended are when it was made and when it was ended; Well is when all was well again.
	Began, Mended, Well int64
}

// Absence is how one kind of fault went.
type Absence struct {
	Kind  Kind
	Count int
	// Longest is the longest time without a hearing bot of ours in the channel, in milliseconds.
	Longest int64
	// Recovery is the longest time from the end of a fault until all was well.
	Recovery int64
}

// Absences says for each kind how long the channel was without us, longest first.
func Absences(seen Seen, faults []Happened) []Absence {
	byKind := map[Kind]*Absence{}
	for i, fault := range faults {
		until := seen.End
		if i+1 < len(faults) {
			until = faults[i+1].Began
		}
		a := byKind[fault.Kind]
		if a == nil {
			a = &Absence{Kind: fault.Kind}
			byKind[fault.Kind] = a
		}
		a.Count++
		a.Longest = max(a.Longest, seen.gap(fault.Began, until), seen.deafness(fault))
		a.Recovery = max(a.Recovery, fault.Well-fault.Mended)
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

// gap is the longest time between from and until in which our name was not in the user list.
func (s Seen) gap(from, until int64) int64 {
	return longest(without([]interval{{from, until}}, s.stays(s.Bot))).length()
}

// deafness is how long a leader that was silenced sat in the user list before another of ours came, or it was mended.
func (s Seen) deafness(fault Happened) int64 {
	if !fault.deaf() {
		return 0
	}
	for _, e := range s.Entries {
		if e.Kind == simulator.KindJoin && s.isOurs(e) && e.Time >= fault.Began && e.Time < fault.Mended {
			return e.Time - fault.Began
		}
	}
	return fault.Mended - fault.Began
}
