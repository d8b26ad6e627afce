package legacy_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"rosey.dev/rosey/runtime/store"
)

// said is a line as it was said in the channel.
type said struct {
	at         int64 // in seconds from the evening
	user, text string
}

// talk returns lines of few people who often repeat themselves and each other.
func talk(random *rand.Rand, number int, from int64) []said {
	users, texts := []string{"alice", "bob", "dave"}, []string{"gg", "lol", "hi", "first!"}
	lines := make([]said, number)
	for i := range lines {
		from += int64(random.IntN(3))
		lines[i] = said{from, users[random.IntN(len(users))], texts[random.IntN(len(texts))]}
	}
	return lines
}

// pythonRows are the rows of a file, and the total of each user.
type pythonRows struct {
	chat  []said
	total map[string]int
}

// store stores lines as a Python database service does, each so many times. The second copy may be a second late.
func (p *pythonRows) store(random *rand.Rand, copies int, lines []said) {
	for _, one := range lines {
		for range copies {
			p.chat = append(p.chat, one)
			p.total[one.user]++
			one.at += int64(random.IntN(2))
		}
	}
}

func (p *pythonRows) file(t *testing.T) (path string) {
	t.Helper()
	var chat, users []string
	for _, row := range p.chat {
		chat = append(chat, fmt.Sprintf("(%d, '%s', '%s')", evening+row.at, row.user, row.text))
	}
	for name, total := range p.total {
		users = append(users, fmt.Sprintf("('%s', %[2]d, %[2]d, %[3]d, 0, NULL)", name, evening, total))
	}
	return makeSource(t, synchronousSchema,
		"INSERT INTO recent_chat (timestamp, username, message) VALUES "+strings.Join(chat, ", "),
		"INSERT INTO user_stats VALUES "+strings.Join(users, ", "))
}

// wantLines fails unless the lines are stored, in order and each once, and counted with those that were said before.
func wantLines(t *testing.T, target store.Store, lines []said, before map[string]int) {
	t.Helper()
	var want, got []string
	total := map[string]int{}
	for _, one := range lines {
		want = append(want, fmt.Sprintf("%d %s: %s", evening+one.at, one.user, one.text))
		total[one.user]++
	}
	content := read(t, target)
	for _, one := range content.Chat {
		got = append(got, fmt.Sprintf("%d %s: %s", one.At.Unix(), one.Username, one.Text))
	}
	same(t, "lines", want, got)
	for _, user := range content.Users {
		if want := total[user.Username] + before[user.Username]; user.Lines != want {
			t.Errorf("%s has %d lines, want %d", user.Username, user.Lines, want)
		}
	}
}

// Each line that the Python bot stored twice is imported once, whether its copies have the same second or not, and each
// repetition of a line is a line.
func TestImportHalvesWhatWasStoredTwice(t *testing.T) {
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 1))
		lines := talk(random, 20+random.IntN(200), 0)
		rows := pythonRows{total: map[string]int{"alice": 2 * 400, "bob": 2 * 31}}
		rows.store(random, 2, lines)
		target, path := openTarget(t), rows.file(t)
		for range 2 {
			importFrom(t, path, target)
			wantLines(t, target, lines, map[string]int{"alice": 400, "bob": 31})
		}
	}
}

// What a bot stored once is imported as it is, also where people repeat themselves.
func TestImportKeepsWhatWasStoredOnce(t *testing.T) {
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 2))
		lines := talk(random, 20+random.IntN(200), 0)
		rows := pythonRows{total: map[string]int{"alice": 401, "bob": 30}}
		rows.store(random, 1, lines)
		target := openTarget(t)
		importFrom(t, rows.file(t), target)
		wantLines(t, target, lines, map[string]int{"alice": 401, "bob": 30})
	}
}

// The Python bot was replaced by one that stores each line once, with the same database service.
func TestImportOfBothKindsInOneFile(t *testing.T) {
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 3))
		python := append(talk(random, 100, 0), said{1000, "carol", "the bot is replaced"})
		ours := append([]said{{2000, "alice", "it is back"}}, talk(random, 100, 2001)...)
		rows := pythonRows{total: map[string]int{"alice": 2 * 400, "carol": 2}}
		rows.store(random, 2, python)
		rows.store(random, 1, ours)
		target := openTarget(t)
		importFrom(t, rows.file(t), target)
		wantLines(t, target, append(python, ours...), map[string]int{"alice": 400, "carol": 1})
	}
}

// The Python bot removes rows by their time, so the oldest line may have lost the first of its copies. Imported again,
// it is not a new line.
func TestImportAfterHalfOfALineWasRemoved(t *testing.T) {
	lines := []said{{0, "bob", "a"}, {0, "alice", "b"}, {1, "bob", "c"}, {2, "bob", "c"}, {2, "alice", "d"}}
	rows := pythonRows{total: map[string]int{}}
	for _, one := range lines {
		rows.chat = append(rows.chat, one, said{one.at + 1, one.user, one.text})
		rows.total[one.user] += 2
	}
	path, target := rows.file(t), openTarget(t)
	importFrom(t, path, target)
	wantLines(t, target, lines, nil)
	// The copies of the first two lines are the only rows of the Python bot's 1st second.
	fill(t, path, fmt.Sprintf("DELETE FROM recent_chat WHERE timestamp < %d + 1 OR message = 'a'", evening))
	importFrom(t, path, target)
	wantLines(t, target, lines, nil)
	alone := openTarget(t)
	importFrom(t, path, alone)
	want := append([]said{{1, "alice", "b"}}, lines[2:]...)
	wantLines(t, alone, want, map[string]int{"bob": 1})
}

// Where the totals show that older lines were counted once, by an older version, they are imported as they are.
func TestImportOfTotalsThatWereCountedOnce(t *testing.T) {
	random := rand.New(rand.NewPCG(0, 4))
	lines, before := talk(random, 50, 0), map[string]int{"alice": 33, "bob": 7, "dave": 12}
	rows := pythonRows{total: map[string]int{"alice": 33, "bob": 7, "dave": 12}}
	rows.store(random, 2, lines)
	target := openTarget(t)
	importFrom(t, rows.file(t), target)
	wantLines(t, target, lines, before)
}

// A bot that was ended between the two copies leaves one line with one.
func TestImportOfALineWithOneCopy(t *testing.T) {
	random := rand.New(rand.NewPCG(0, 5))
	first, second := talk(random, 40, 0), talk(random, 40, 2000)
	crash := []said{{1000, "carol", "a crash"}}
	rows := pythonRows{total: map[string]int{}}
	rows.store(random, 2, first)
	rows.store(random, 1, crash)
	rows.store(random, 2, second)
	target := openTarget(t)
	importFrom(t, rows.file(t), target)
	wantLines(t, target, append(append(first, crash...), second...), nil)
}

// Commands are halved too where all were stored twice, whatever lies between the copies.
func TestImportOfCommands(t *testing.T) {
	const values = "INSERT INTO user_actions (timestamp, username, action_type, details) VALUES "
	row := func(second int, details string) string {
		return fmt.Sprintf("(%d, 'bob', 'pm_command', '%s')", evening+second, details)
	}
	for name, c := range map[string]struct {
		rows []string
		want []int64
	}{
		"twice": {
			[]string{row(0, "pending"), row(0, "done"), row(1, "pending"), row(1, "done"), row(1, "x"), row(2, "x")},
			[]int64{0, 0, 1},
		},
		"once": {[]string{row(0, "say"), row(0, "say"), row(1, "say"), row(3, "stats")}, []int64{0, 0, 1, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			path, target := makeSource(t, synchronousSchema, values+strings.Join(c.rows, ", ")), openTarget(t)
			for range 2 {
				importFrom(t, path, target)
				var got []int64
				for _, action := range read(t, target).Actions {
					got = append(got, action.At.Unix()-evening)
				}
				same(t, "seconds", c.want, got)
			}
		})
	}
}
