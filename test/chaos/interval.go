package chaos

import (
	"cmp"
	"slices"
)

// interval is an interval of time in Unix milliseconds.
type interval struct{ from, to int64 }

func (i interval) length() int64 { return i.to - i.from }

// merged sorts intervals and joins those that are no more than gap milliseconds apart.
func merged(all []interval, gap int64) []interval {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b interval) int { return cmp.Compare(a.from, b.from) })
	var out []interval
	for _, next := range all {
		if last := len(out) - 1; last >= 0 && next.from-out[last].to <= gap {
			out[last].to = max(out[last].to, next.to)
			continue
		}
		out = append(out, next)
	}
	return out
}

// common returns the intersection of a and b.
func common(a, b []interval) (out []interval) {
	for _, x := range a {
		for _, y := range b {
			if both := (interval{max(x.from, y.from), min(x.to, y.to)}); both.from < both.to {
				out = append(out, both)
			}
		}
	}
	return merged(out, 0)
}

// without returns the parts of a that are not in b.
func without(a, b []interval) (out []interval) {
	b = merged(b, 0)
	for _, rest := range a {
		for _, cut := range b {
			if cut.to <= rest.from || cut.from >= rest.to {
				continue
			}
			if cut.from > rest.from {
				out = append(out, interval{rest.from, cut.from})
			}
			rest.from = cut.to
		}
		if rest.from < rest.to {
			out = append(out, rest)
		}
	}
	return out
}

// longest returns the longest interval, or the zero interval if there is none.
func longest(all []interval) (out interval) {
	for _, one := range all {
		if one.length() > out.length() {
			out = one
		}
	}
	return out
}
