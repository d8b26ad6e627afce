package chaos

import (
	"fmt"
	"slices"
	"strings"
)

// mostShown bounds how much of one kind of mistake is printed.
const mostShown = 10

// String is for people: what was done, how long the channel was without us, and what is wrong.
func (r Result) String() string {
	v, out := r.Verdict, &strings.Builder{}
	fmt.Fprintf(out, "seed %d, %s, %d faults; SEED=%d replays them\n", r.Seed, r.Duration, len(r.Faults), r.Seed)
	fmt.Fprintf(out, "%d lines were said, %d are stored; %d were said while no bot was there to hear them\n",
		v.Said, v.Stored, v.Unseen)
	fmt.Fprintf(out, "%d times a bot of ours threw out one that was cut off\n\n", v.Evictions)
	fmt.Fprintf(out, "%-36s %5s %16s %16s\n", "fault", "times", "longest absence", "until all well")
	for _, a := range r.Absences {
		fmt.Fprintf(out, "%-36s %5d %14.1f s %14.1f s\n", a.Kind, a.Count, seconds(a.Longest), seconds(a.Recovery))
	}
	fmt.Fprintln(out)
	for _, one := range r.wrongs() {
		fmt.Fprintf(out, "%-36s %5d\n", one.what, len(one.examples))
		for i, example := range one.examples {
			if i == mostShown {
				fmt.Fprintf(out, "    and %d more\n", len(one.examples)-i)
				break
			}
			fmt.Fprintf(out, "    %s\n", example)
		}
	}
	return out.String()
}

// Clean is true when nothing is wrong. Each time a bot ended or was cut off, one outbound line may have been given up.
func (r Result) Clean() bool {
	interrupted := 0
	for _, fault := range r.Faults {
		if interruptions[fault.Kind] {
			interrupted++
		}
	}
	return r.Verdict.Clean() && len(r.Verdict.NeverSent) <= interrupted
}

type wrong struct {
	what     string
	examples []string
}

func (r Result) wrongs() []wrong {
	v := r.Verdict
	var doubles []string
	for _, at := range v.Doubles {
		doubles = append(doubles, clock(at)+r.during(at))
	}
	return []wrong{
		{"lines lost", r.describe(v.Lost)},
		{"lines stored twice", r.describe(v.Duplicated)},
		{"lines of somebody else", r.describe(v.Misattributed)},
		{"lines that nobody said", r.describe(v.Invented)},
		{"users with a wrong number of lines", v.WrongCounts},
		{"wrong sessions", v.WrongSessions},
		{"two of ours in the user list", doubles},
		{"outbound lines said twice", v.SentTwice},
		{"outbound lines given up in doubt", v.NeverSent},
	}
}

func (r Result) describe(lines []Line) (texts []string) {
	for _, line := range lines {
		texts = append(texts, fmt.Sprintf("%s %s: %s%s", clock(line.Time), line.User, line.Text, r.during(line.Time)))
	}
	return texts
}

// during names the last fault that had begun.
func (r Result) during(at int64) string {
	for _, f := range slices.Backward(r.Faults) {
		if f.Began <= at {
			return strings.TrimRight(fmt.Sprintf(" (%.1f s after: %s, %s", seconds(at-f.Began), f.Kind, f.Target), ", ") + ")"
		}
	}
	return ""
}
