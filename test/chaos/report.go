package chaos

import (
	"fmt"
	"slices"
	"strings"
)

// maxExamples bounds the number of printed examples of each kind of mistake.
const maxExamples = 10

// String returns a report: the faults, the bot's absences, and the mistakes.
func (r Result) String() string {
	v, out := r.Findings, &strings.Builder{}
	fmt.Fprintf(out, "seed %d, %s, %d faults; SEED=%d replays them\n", r.Seed, r.Duration, len(r.Faults), r.Seed)
	fmt.Fprintf(out, "%d lines were said, %d are stored; %d were said while no bot was in the channel\n",
		v.Said, v.Stored, v.Unseen)
	fmt.Fprintf(out, "%d times a new leader disconnected one that was cut off\n\n", v.Evictions)
	fmt.Fprintf(out, "%-36s %5s %16s %16s\n", "fault", "times", "longest absence", "recovery")
	for _, a := range r.Absences {
		fmt.Fprintf(out, "%-36s %5d %14.1f s %14.1f s\n", a.Kind, a.Count, seconds(a.Longest), seconds(a.Recovery))
	}
	fmt.Fprintln(out)
	for _, one := range r.mistakes() {
		fmt.Fprintf(out, "%-36s %5d\n", one.what, len(one.examples))
		for i, example := range one.examples {
			if i == maxExamples {
				fmt.Fprintf(out, "    and %d more\n", len(one.examples)-i)
				break
			}
			fmt.Fprintf(out, "    %s\n", example)
		}
	}
	return out.String()
}

// Clean reports whether there are no mistakes. Each fault that interrupts a bot may cost one outbound line.
func (r Result) Clean() bool {
	interrupted := 0
	for _, fault := range r.Faults {
		if interruptions[fault.Kind] {
			interrupted++
		}
	}
	return r.Findings.Clean() && len(r.Findings.NeverSent) <= interrupted
}

type mistake struct {
	what     string
	examples []string
}

func (r Result) mistakes() []mistake {
	v := r.Findings
	var overlaps []string
	for _, at := range v.Overlaps {
		overlaps = append(overlaps, clock(at)+r.during(at))
	}
	return []mistake{
		{"lines lost", r.describe(v.Lost)},
		{"lines stored twice", r.describe(v.Duplicated)},
		{"lines stored for another user", r.describe(v.Misattributed)},
		{"stored lines that nobody said", r.describe(v.Invented)},
		{"users with a wrong number of lines", v.WrongCounts},
		{"wrong sessions", v.WrongSessions},
		{"two replicas in the user list", overlaps},
		{"outbound lines said twice", v.SentTwice},
		{"outbound lines not said", v.NeverSent},
	}
}

func (r Result) describe(lines []Line) (texts []string) {
	for _, line := range lines {
		texts = append(texts, fmt.Sprintf("%s %s: %s%s", clock(line.Time), line.User, line.Text, r.during(line.Time)))
	}
	return texts
}

// during names the last fault that had started.
func (r Result) during(at int64) string {
	for _, f := range slices.Backward(r.Faults) {
		if f.Started <= at {
			return strings.TrimRight(fmt.Sprintf(" (%.1f s after: %s, %s", seconds(at-f.Started), f.Kind, f.Target), ", ") + ")"
		}
	}
	return ""
}
