package trivia_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/plugin/builtin/trivia"
	"rosey.dev/rosey/runtime/plugin/plugintest"
)

func TestExamples(t *testing.T) {
	t.Parallel()
	plugintest.Examples(t, trivia.New)
}

// One question after the other, the answers known: each answer is its question's number.
func numbered(count int) plugintest.Option {
	var lines []string
	for i := range count {
		lines = append(lines, fmt.Sprintf("What is number %d?|The Ánswer %d|no %d", i, i, i))
	}
	return plugintest.Setting("questions.numbers", strings.Join(lines, "\n"))
}

const (
	pause = 5 * time.Second
	tick  = 500 * time.Millisecond
)

// asked waits for a question, and returns its number.
func asked(room *plugintest.Room, at, of int) (number string) {
	room.Pass(pause)
	line := room.Hears(fmt.Sprintf(`^❓ %d/%d \(numbers\) What is number \d+\?$`, at, of)).Text
	return strings.TrimSuffix(line[strings.LastIndex(line, " ")+1:], "?")
}

// closed waits until a question is not open any more, for all that was written in the chat is handled.
func closed(t *testing.T, person plugintest.Person) {
	t.Helper()
	for range 2000 {
		if answer := person.Says("!trivia"); answer.Wrong != "" || strings.Contains(answer.Text(), "comes soon") {
			return
		}
	}
	t.Fatal("no answer closes the question")
}

func TestARound(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, trivia.New(), numbered(5))
	alice, bob := room.As("alice", plugin.Registered), room.As("Bob", plugin.Guest)
	bob.Says("!trivia start").ExpectsWrong("rank 1 is needed")
	alice.Whispers("!trivia start 3").Expects(`^alice starts a round of 3 questions\. .* 30s for each`)
	alice.Says("!trivia start").ExpectsWrong("runs already")
	alice.Says("!trivia").Expects("comes soon")

	// An answer in the chat, in another form.
	number := asked(room, 1, 3)
	alice.Says("!trivia").Expects(`^❓ 1/3 \(numbers\) What is number ` + number)
	bob.Writes("is it answer?")
	bob.Writes("!a answer " + number) // a command is taken as one, and not twice
	bob.Writes("  ANSWER, " + number + "!")
	closed(t, alice)
	alice.Says("!a answer " + number).Expects(`^$`) // too late
	room.Pass(tick)
	room.Hears(`^✅ Bob: The Ánswer ` + number + `\. 10 points, 10 in this round\.$`)

	// After a hint an answer is worth less, by command and privately too.
	number = asked(room, 2, 3)
	room.Pass(10 * time.Second)
	room.Hears(`^💡 Hint: T•• •••••• •$`)
	room.Pass(10 * time.Second)
	room.Hears(`^💡 Hint: T•e •n•w•r •$`)
	alice.Whispers("!a answer").Expects(`not it`)
	alice.Says("!trivia answer No. " + number).ExpectsWrong("answers are lines in the chat") // to deny !a denies all
	room.Refuse("take", "too soon")
	alice.Writes("No. " + number)
	room.Settle()
	room.Allow("take")
	alice.Whispers("!a No. " + number).Expects(`right`)
	room.Pass(tick)
	room.Hears(`^✅ alice: The Ánswer ` + number + `\. 4 points, 4 in this round\.$`)

	number = asked(room, 3, 3)
	room.Pass(30 * time.Second)
	room.Hears(`^⌛ Time is up\. It was: The Ánswer ` + number + `$`)
	room.Hears(`^🏁 The round is over\. 1\. Bob 10, 2\. alice 4$`)
	alice.Says("!a answer").ExpectsWrong("no round runs")
	bob.Says("!trivia score").Expects(`^Bob: 10 points, 1 right answers, 1 rounds won, number 1 of 2$`)
	bob.Says("!trivia stats @ALICE").Expects(`^alice: 4 points, 1 right answers, 0 rounds won, number 2 of 2$`)
	bob.Says("!trivia lb").Expects(`^🏆 1\. Bob 10, 2\. alice 4$`)
	if room.Stored("round", new(any)) {
		t.Error("the round is still stored as one that runs")
	}
}

// The server repeats the last lines to whoever joins: what was said before counts for nothing.
func TestAReplayedLineIsNoAnswer(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, trivia.New(), numbered(2))
	alice := room.As("alice", plugin.Registered)
	alice.Says("!trivia start 2")
	number := asked(room, 1, 2)
	answer := "answer " + number
	room.Event(plugin.Message, map[string]any{"user": "bob", "text": answer, "content": answer, "replayed": true})
	room.As("carol", plugin.Guest).Writes(answer)
	closed(t, alice)
	room.Pass(tick)
	room.Hears(`^✅ carol: `)
}

// What the owner of the bot decides about !a holds for answers without it too.
func TestWhoMayNotAnswerByCommandDoesNotByALine(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, trivia.New(), numbered(2))
	alice := room.As("alice", plugin.Registered)
	alice.Says("!trivia start 2")
	answer := "answer " + asked(room, 1, 2)
	room.Event(plugin.Message, map[string]any{"user": "spam", "text": answer, "ignored": true, "may_call": []string{}})
	room.Event(plugin.Message, map[string]any{"user": "mallory", "text": answer, "may_call": []string{"trivia.b", "x.a"}})
	room.Event(plugin.Message, map[string]any{"user": "eve", "text": answer, "ignored": true}) // an earlier bot
	room.As("carol", plugin.Guest).Writes(answer)
	closed(t, alice)
	room.Pass(tick)
	room.Hears(`^✅ carol: `)
}

// Asked by somebody, the bot says what would be the answer, for another plugin.
func TestTheBotsOwnLineIsNoAnswer(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, trivia.New(), numbered(2))
	alice := room.As("alice", plugin.Registered)
	alice.Says("!trivia start 2")
	number := asked(room, 1, 2)
	room.As(plugintest.BotName, plugin.Moderator).Writes("answer " + number)
	room.As("carol", plugin.Guest).Writes("answer " + number)
	closed(t, alice)
	room.Pass(tick)
	room.Hears(`^✅ carol: `)
}

// Whoever names no category has nothing read: it may be 50 MiB, and they may ask as often as they are answered.
func TestAWrongCategoryDoesNotHaveTheDirectoryReadEachTime(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	write := func(name string) {
		if err := os.WriteFile(filepath.Join(path, name), []byte("A cat?|yes"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("animals.txt")
	room := plugintest.Open(t, trivia.New(), plugintest.Setting("directory", path))
	alice := room.As("alice", plugin.Registered)
	alice.Says("!trivia start cars").ExpectsWrong(`expected one of animals$`)
	write("cars.txt")
	room.Pass(9 * time.Second)
	alice.Says("!trivia start cars").ExpectsWrong(`expected one of animals$`)
	room.Pass(time.Second)
	alice.Says("!trivia start cars").Expects(`\(cars\)`)
}

func TestWhoMayStopARound(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, trivia.New(), numbered(9), plugintest.Setting("startRank", "0"))
	guest, alice := room.As("guest", plugin.Guest), room.As("alice", plugin.Registered)
	mod := room.As("mod", plugin.Moderator)
	guest.Says("!trivia skip").ExpectsWrong("no round runs")
	guest.Says("!trivia start 2")
	for _, what := range []string{"stop", "skip"} {
		alice.Says("!trivia " + what).ExpectsWrong("guest started this round")
	}
	number := asked(room, 1, 2)
	room.As("GUEST", plugin.Guest).Says("!trivia skip")
	room.Pass(tick)
	room.Hears(`^Skipped\. It was: The Ánswer ` + number + `$`)
	asked(room, 2, 2)
	mod.Says("!trivia stop")
	mod.Says("!trivia stop").ExpectsWrong("no round runs")
	room.Pass(tick)
	room.Hears(`^The round was stopped\. Nobody has points\.$`)
	room.Pass(time.Hour)
	room.Silent()

	// A round can begin at once, and one that was left out is not asked.
	guest.Says("!trivia start 1")
	mod.Says("!trivia skip")
	room.Pass(time.Hour)
	room.Hears(`^Skipped a question\.$`)
	room.Hears(`^The round is over\. Nobody has points\.$`)
	room.Silent()
}

func TestARoundEndsIfNobodyAnswers(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, trivia.New(), numbered(9), plugintest.Setting("hints", "false"),
		plugintest.Setting("time", "10s"))
	room.As("alice", plugin.Registered).Says("!trivia start 9")
	room.Pass(time.Hour)
	for range 3 {
		room.Hears(`^❓ `)
		room.Hears(`^⌛ `)
	}
	room.Hears(`^The round ends: nobody answers\. Nobody has points\.$`)
	room.Silent()
}

// The process was restarted: the round is gone, and somebody waits for it.
func TestALostRoundIsTold(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, trivia.New(), plugintest.Stored("round", map[string]string{"by": "alice"}))
	alice := room.As("alice", plugin.Registered)
	alice.Says("!trivia").ExpectsWrong("no round runs")
	alice.Says("!trivia top").Expects(`^The last round was lost: .*\nNobody has points yet\.$`)
	alice.Says("!trivia top").Expects(`^Nobody has points yet\.$`)

	room.Store("round", map[string]string{"by": "alice"})
	alice.Says("!trivia start 1").Expects(`^The last round was lost: .*\nalice starts`)
	alice.Says("!trivia top").Expects(`^Nobody has points yet\.$`)
	alice.Says("!trivia stop")
	room.Pass(tick)
	alice.Says("!trivia top").Expects(`^Nobody has points yet\.$`)
}

const openTrivia = `{"response_code": 0, "results": [
	{"type": "multiple", "difficulty": "hard", "category": "Entertainment: Film", "question": "Who said &quot;Hi&quot;?",
	 "correct_answer": "Zoë", "incorrect_answers": ["Ann &amp; Bea", "Carl", "Dora"]}]}`

func directory(t *testing.T, files map[string]string) plugintest.Option {
	t.Helper()
	path := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(path, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return plugintest.Setting("directory", path)
}

// Of the letters and names of some choices, everybody has one try.
func TestAnswersToChooseFrom(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, trivia.New(), directory(t, map[string]string{"film.json": openTrivia}))
	alice := room.As("alice", plugin.Registered)
	alice.Says("!trivia start 3 FILM").Expects(`a round of 1 questions \(Entertainment: Film\)`)
	room.Pass(pause)
	room.Hears(`^❓ 1/1 \(Entertainment: Film\) Who said "Hi"\?$`)
	choices := room.Hears(`^A\) .*  B\) .*  C\) .*  D\) `).Text
	if !strings.Contains(choices, "Ann & Bea") {
		t.Errorf("the choices: %s", choices)
	}
	right := choices[strings.Index(choices, ") Zoë")-1:][:1]
	room.Pass(10 * time.Second)
	if hint := room.Hears(`^💡 Hint: it is not [A-D]\) `).Text; strings.Contains(hint, "Zoë") {
		t.Errorf("the hint: %s", hint)
	}
	room.Pass(10 * time.Second)
	room.Hears(`^💡 Hint: it is not [A-D]\) `)
	alice.Whispers("!a E").Expects("not it")    // no choice
	alice.Whispers("!a carl").Expects("not it") // the only one of alice
	alice.Whispers("!a " + right).Expects("not it")
	room.As("bob", plugin.Guest).Whispers("!a " + strings.ToLower(right) + ")").Expects("right")
	room.Pass(tick)
	room.Hears(`^✅ bob: Zoë\. 12 points, 12 in this round\.$`)
}

// What is wrong in a file costs only this question, and nothing of it reaches the chat.
func TestFilesAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 221)
	room := plugintest.Open(t, trivia.New(), directory(t, map[string]string{
		"animals.txt": "# comment\n\nno answer\n" + long + "?|no\nA cat?|yes|ja\n|x\nA dog?|" + long + "\nA \u0007bell?|x\n",
		"broken.json": `{"results": [`,
		"list.json": `[{"question": "A bird?", "correct_answer": "yes", "category": "Birds"},
			{"question": "", "correct_answer": "x"}]`,
		"ignored.md": "A fish?|yes", ".hidden.txt": "A ghost?|yes", "huge.txt": strings.Repeat("Big?|yes\n", 1<<17),
	}))
	alice := room.As("alice", plugin.Registered)
	alice.Says("!trivia start 50").Expects("a round of 2 questions")
	alice.Says("!trivia stop")
	alice.Says("!trivia start 1 cars").ExpectsWrong(`expected one of Birds, animals$`)
	alice.Says("!trivia start animals").Expects("a round of 1 questions")
	alice.Says("!trivia stop")
	room.Pass(pause)

	room = plugintest.Open(t, trivia.New(), directory(t, nil))
	room.As("alice", plugin.Registered).Says("!trivia start").ExpectsWrong("there are no questions")
}

func TestWrongSettingsAreTold(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]string{
		"directory": {"/does/not/exist", os.Args[0]}, "questions.*": {"no answer", "x|" + strings.Repeat("y", 81)},
		"time": {"1s", "1h"}, "startRank": {"6", "-1"}, "hints": {"no"},
	} {
		for _, setting := range trivia.New().Settings() {
			for _, value := range values {
				if setting.Name == name && setting.Check(value) == nil {
					t.Errorf("%s: %q is taken", name, value)
				}
			}
			if setting.Default != "" {
				continue
			}
			if err := setting.Check(""); err != nil {
				t.Errorf("%s: empty: %v", setting.Name, err)
			}
		}
	}
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, trivia.New())
	alice := room.As("alice", plugin.Registered)
	for args, want := range map[string]string{
		"start 0": "1 to 50", "start -3 film": "1 to 50", "start 51": "1 to 50", "go": "expected start",
		"start 99999999999999999999": "1 to 50", "start - x": "1 to 50", "start " + strings.Repeat("é", 300): "no question",
		"stop": "no round", "skip": "no round", "🎲": "expected start",
	} {
		alice.Says("!trivia " + args).ExpectsWrong(want)
	}
	alice.Says("!trivia start \u202efilm").Expects(`\(Film\)`) // what was typed is not repeated
	alice.Says("!trivia score " + strings.Repeat("é", 300)).Expects("^Nobody of that name")
}

// Nobody hears the questions: the time of one begins when it was said.
func TestAQuestionThatCannotBeSaidWaits(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, trivia.New(), numbered(2), plugintest.Setting("hints", "false"))
	alice := room.As("alice", plugin.Registered)
	alice.Says("!trivia start 2")
	room.Refuse("say", "the bot is not in the channel")
	room.Pass(time.Minute)
	room.Silent()
	room.Allow("say")
	number := asked(room, 1, 2)
	room.Pass(29 * time.Second)
	room.Silent()
	alice.Says("!a answer " + number)
	room.Pass(tick)
	room.Hears(`^✅ alice: `)

	// After some minutes it is given up, and another round can begin.
	room.Refuse("say", "the bot is not in the channel")
	room.Pass(10 * time.Minute)
	room.Allow("say")
	room.Pass(10 * time.Minute)
	room.Silent()
	alice.Says("!trivia score").Expects("^alice: 10 points")
	alice.Says("!trivia start 2").Expects("^alice starts")
}

// Points that cannot be stored now are stored later.
func TestPointsOutlastADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, trivia.New(), numbered(1))
	alice := room.As("alice", plugin.Registered)
	alice.Says("!trivia start 1")
	number := asked(room, 1, 1)
	room.Deny("kv", "away")
	alice.Says("!a answer " + number)
	room.Pass(10 * time.Second)
	room.Hears(`^✅ alice: `)
	alice.Says("!trivia top").ExpectsFailed("away")
	room.Allow("kv")
	room.Pass(10 * time.Second)
	alice.Says("!trivia score").Expects("^alice: 10 points, 1 right answers, 0 rounds won")
}

// A guest may have another name each day.
func TestTheNumberOfScoresIsBounded(t *testing.T) {
	t.Parallel()
	options := []plugintest.Option{numbered(1)}
	for i := range 1000 {
		name := fmt.Sprint("guest", i)
		score := map[string]any{"name": name, "points": 1000 - i}
		options = append(options, plugintest.Stored("score/"+name, score))
	}
	room := plugintest.Open(t, trivia.New(), options...)
	alice := room.As("Alice", plugin.Registered)
	alice.Says("!trivia start 1")
	number := asked(room, 1, 1)
	alice.Says("!a answer " + number)
	room.Pass(tick)
	room.Hears(`^✅ Alice: `)
	if room.Stored("score/guest999", new(any)) || !room.Stored("score/alice", new(any)) {
		t.Error("the score with the fewest points is not the one that goes")
	}
	alice.Says("!trivia score").Expects("number 991 of 1000$")
}

// Questions that were not asked for long come first.
func TestQuestionsAreNotRepeatedSoon(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, trivia.New(), numbered(8))
	alice := room.As("alice", plugin.Registered)
	seen := map[string]bool{}
	for range 2 {
		alice.Says("!trivia start 4").Expects("a round of 4")
		for i := range 4 {
			seen[asked(room, i+1, 4)] = true
			alice.Says("!trivia skip")
			room.Pass(tick)
		}
	}
	if len(seen) != 8 {
		t.Errorf("in two rounds of 4 there were %d of 8 questions", len(seen))
	}
}

func TestHowAnswersAreCompared(t *testing.T) {
	t.Parallel()
	text := "[q0]\n?|The Godfather\n[q1]\n?|Amélie\n[q2]\n?|A|Vitamin A\n[q3]\n?|Ocean's Eleven|11\n" +
		"[q4]\n?|Tom & Jerry\n[q5]\n?|Straße\n[q6]\n?|七人の侍\n[q7]\n?|???\n[q8]\n?|WALL·E\n"
	room := plugintest.Open(t, trivia.New(), plugintest.Setting("questions.numbers", text),
		plugintest.Setting("startRank", "0"))
	for i, one := range []struct{ wrong, right []string }{
		{[]string{"father", "the", "godfathers"}, []string{"godfather", "THE GODFATHER!", "a god-father"}},
		{nil, []string{"amelie", "Ame\u0301lie", "ÁMÉLÍE"}},
		{[]string{"the", ""}, []string{"a", " A. ", "vitamin-a"}},
		{[]string{"ocean", "eleven"}, []string{"oceans eleven", "Ocean’s Eleven", "11"}},
		{[]string{"tom jerry"}, []string{"tom and jerry", "Tom&Jerry"}},
		{[]string{"strase"}, []string{"strasse", "STRASSE", "straße"}},
		{[]string{"七人"}, []string{"七人の侍", "「七人の侍」"}},
		{[]string{"?", "what"}, []string{"???", " ??? "}},
		{[]string{"wall"}, []string{"wall-e", "Wall E", "Walle"}},
	} {
		for _, right := range one.right {
			alice := room.As("alice", plugin.Guest)
			alice.Says(fmt.Sprint("!trivia start 1 q", i)).Expects("starts a round of 1")
			room.Pass(pause)
			for _, wrong := range one.wrong {
				alice.Whispers("!a " + wrong).Expects("not it")
			}
			alice.Whispers("!a " + right).Expects("That is right")
			room.Pass(tick)
		}
	}
}
