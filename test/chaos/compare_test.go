package chaos

import (
	"slices"
	"testing"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// evening returns a channel and a database without mistakes: a line before the bot joins, alice who stays for two
// minutes, bob who joins while the bot is away, a fail-over, and two outbound lines.
func evening() (Seen, Stored, []string) {
	seen := Seen{Bot: "Rosey", End: 400_000, Entries: []simulator.Entry{
		{Kind: simulator.KindJoin, User: "alice", Time: 1_000},
		{Kind: simulator.KindChat, User: "alice", Text: "before", Time: 2_000},
		{Kind: simulator.KindJoin, User: "Rosey", Time: 3_000},
		{Kind: simulator.KindChat, User: "alice", Text: "one", Time: 4_000},
		{Kind: simulator.KindChat, User: "Rosey", Text: "out 1", Time: 5_000},
		{Kind: simulator.KindKick, User: "Rosey", Text: "Duplicate login", Time: 6_000},
		{Kind: simulator.KindLeave, User: "Rosey", Time: 6_000},
		{Kind: simulator.KindJoin, User: "Rosey", Time: 6_000},
		{Kind: simulator.KindLeave, User: "Rosey", Time: 60_000},
		{Kind: simulator.KindJoin, User: "bob", Time: 61_000},
		{Kind: simulator.KindChat, User: "bob", Text: "gap", Time: 62_000},
		{Kind: simulator.KindJoin, User: "Rosey", Time: 63_000},
		{Kind: simulator.KindLeave, User: "alice", Time: 120_000},
		{Kind: simulator.KindChat, User: "Rosey", Text: "out 2", Time: 130_000},
		{Kind: simulator.KindLeave, User: "bob", Time: 390_000},
	}}
	stored := Stored{
		Chat: []Line{
			{2_000, "alice", "before"},
			{4_000, "alice", "one"},
			{5_000, "Rosey", "out 1"},
			{62_000, "bob", "gap"},
			{130_000, "Rosey", "out 2"},
		},
		Users: []StoredUser{
			{Username: "alice", Lines: 2, Sessions: []StoredSession{{3_000, 120_000}}},
			{Username: "bob", Lines: 1, Sessions: []StoredSession{{63_000, 390_000}}},
			{Username: "rosey", Lines: 2, Sessions: []StoredSession{{3_000, 0}}},
		},
	}
	return seen, stored, []string{"out 1", "out 2"}
}

func TestCorrectDatabaseIsClean(t *testing.T) {
	findings := Compare(evening())
	if !findings.Clean() || findings.Said != 5 || findings.Stored != 5 || findings.Evictions != 1 {
		t.Errorf("%+v", findings)
	}
}

// Every kind of mistake is found and counted in its own field.
func TestEveryMistakeIsFound(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*Seen, *Stored, *[]string)
		count func(Findings) int
	}{
		"a line said in the bot's presence is missing": {
			func(_ *Seen, db *Stored, _ *[]string) { db.Chat = slices.Delete(db.Chat, 1, 2); db.Users[0].Lines = 1 },
			func(v Findings) int { return len(v.Lost) },
		},
		"a line said in the bot's absence, and repeated, is missing": {
			func(_ *Seen, db *Stored, _ *[]string) { db.Chat = slices.Delete(db.Chat, 3, 4); db.Users[1].Lines = 0 },
			func(v Findings) int { return len(v.Lost) },
		},
		"a line is stored twice": {
			func(_ *Seen, db *Stored, _ *[]string) { db.Chat = append(db.Chat, db.Chat[1]); db.Users[0].Lines = 3 },
			func(v Findings) int { return len(v.Duplicated) },
		},
		"a line is stored for another user": {
			func(_ *Seen, db *Stored, _ *[]string) {
				db.Chat = append(db.Chat, Line{4_000, "bob", "one"})
				db.Users[1].Lines = 2
			},
			func(v Findings) int { return len(v.Misattributed) },
		},
		"a line was never said": {
			func(_ *Seen, db *Stored, _ *[]string) {
				db.Chat = append(db.Chat, Line{7_000, "bob", "ghost"})
				db.Users[1].Lines = 2
			},
			func(v Findings) int { return len(v.Invented) },
		},
		"a line is counted twice": {
			func(_ *Seen, db *Stored, _ *[]string) { db.Users[0].Lines = 3 },
			func(v Findings) int { return len(v.WrongCounts) },
		},
		"a user is missing": {
			func(_ *Seen, db *Stored, _ *[]string) { db.Users = db.Users[1:] },
			func(v Findings) int { return len(v.WrongCounts) },
		},
		"a session is missing": {
			func(_ *Seen, db *Stored, _ *[]string) { db.Users[1].Sessions = nil },
			func(v Findings) int { return len(v.WrongSessions) },
		},
		"a session ends too early": {
			func(_ *Seen, db *Stored, _ *[]string) { db.Users[1].Sessions[0].Leave = 300_000 },
			func(v Findings) int { return len(v.WrongSessions) },
		},
		"a session never ends": {
			func(_ *Seen, db *Stored, _ *[]string) { db.Users[0].Sessions[0].Leave = 0 },
			func(v Findings) int { return len(v.WrongSessions) },
		},
		"a session of a user who never joined": {
			func(_ *Seen, db *Stored, _ *[]string) {
				db.Users = append(db.Users, StoredUser{Username: "ghost", Sessions: []StoredSession{{5_000, 6_000}}})
			},
			func(v Findings) int { return len(v.WrongSessions) },
		},
		"two bots at once": {
			func(seen *Seen, _ *Stored, _ *[]string) {
				seen.Entries[6], seen.Entries[7] = seen.Entries[7], seen.Entries[6]
			},
			func(v Findings) int { return len(v.Overlaps) },
		},
		"an outbound line is said twice": {
			func(seen *Seen, db *Stored, _ *[]string) {
				again := Line{140_000, "Rosey", "out 2"}
				seen.Entries = append(seen.Entries,
					simulator.Entry{Kind: simulator.KindChat, User: again.User, Text: again.Text, Time: again.Time})
				db.Chat, db.Users[2].Lines = append(db.Chat, again), 3
			},
			func(v Findings) int { return len(v.SentTwice) },
		},
		"an outbound line is never said": {
			func(_ *Seen, _ *Stored, outbound *[]string) { *outbound = append(*outbound, "out 3") },
			func(v Findings) int { return len(v.NeverSent) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			seen, stored, outbound := evening()
			test.spoil(&seen, &stored, &outbound)
			if findings := Compare(seen, stored, outbound); test.count(findings) != 1 || findings.Complete() {
				t.Errorf("not found: %+v", findings)
			}
		})
	}
}

// Of the lines said in the bot's absence, only the last 15 must be stored: CyTube repeats no more when it comes back.
func TestOnlyTheLastLinesOfAnAbsenceAreExpected(t *testing.T) {
	seen := Seen{Bot: "Rosey", End: 1_000_000}
	for i := range int64(40) {
		seen.Entries = append(seen.Entries, simulator.Entry{Kind: simulator.KindChat, User: "alice", Text: "x", Time: i + 1})
	}
	seen.Entries = append(seen.Entries, simulator.Entry{Kind: simulator.KindJoin, User: "rosey", Time: 50})
	findings := Compare(seen, Stored{}, nil)
	if len(findings.Lost) != replayed || findings.Unseen != 40-replayed || findings.Lost[0].Time != 26 {
		t.Errorf("%d lost from %+v, %d unseen", len(findings.Lost), findings.Lost[0], findings.Unseen)
	}
}

// A line that is said twice in one millisecond is stored twice, and not more often.
func TestALineSaidTwiceAtOnceIsNoDuplicate(t *testing.T) {
	entry := simulator.Entry{Kind: simulator.KindChat, User: "alice", Text: "again", Time: 5}
	seen := Seen{Bot: "Rosey", End: 10, Entries: []simulator.Entry{entry, entry}}
	line := Line{5, "alice", "again"}
	if found := CompareLines(seen, Stored{Chat: []Line{line, line}}); len(found.Duplicated) > 0 {
		t.Errorf("duplicates: %v", found.Duplicated)
	}
	if found := CompareLines(seen, Stored{Chat: []Line{line, line, line}}); len(found.Duplicated) != 1 {
		t.Errorf("duplicates: %v, want one", found.Duplicated)
	}
}
