package dice_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/plugin/builtin/dice"
	"rosey.dev/rosey/runtime/plugin/plugintest"
)

func TestExamples(t *testing.T) {
	t.Parallel()
	plugintest.Examples(t, dice.New)
}

var rolled = regexp.MustCompile(`= (-?\d+) \[(.*)\]$`)

// The dice that are shown are those that count, and in their range.
func TestTheSumIsThatOfTheDiceKept(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, dice.New())
	alice := room.As("alice", plugin.Registered)
	for text, kept := range map[string]int{"4d6kh3": 3, "4d6kl1": 1, "5d6k2": 2, "adv": 1, "dis": 1, "3d6": 3} {
		for range 20 {
			answer := alice.Says("!roll " + text).Expects(rolled.String())
			parts := rolled.FindStringSubmatch(answer.Text())
			if parts == nil {
				continue
			}
			sum, counted, lowest, highest := 0, 0, 1000, 0
			var dropped []int
			for die := range strings.SplitSeq(parts[2], ", ") {
				value, err := strconv.Atoi(strings.Trim(die, "()"))
				if err != nil || value < 1 || value > 20 {
					t.Fatalf("%s: a die shows %q", text, die)
				}
				if strings.HasPrefix(die, "(") {
					dropped = append(dropped, value)
					continue
				}
				sum, counted, lowest, highest = sum+value, counted+1, min(lowest, value), max(highest, value)
			}
			if strconv.Itoa(sum) != parts[1] || counted != kept {
				t.Errorf("%s: %s", text, answer.Text())
			}
			for _, value := range dropped {
				isLowest := strings.Contains(text, "kl") || text == "dis"
				if isLowest && value < highest || !isLowest && value > lowest {
					t.Errorf("%s keeps the wrong dice: %s", text, answer.Text())
				}
			}
		}
	}
}

func TestWhatIsNoRollIsExplained(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, dice.New(), plugintest.Setting("maxDice", "5"), plugintest.Setting("maxSides", "100"))
	alice := room.As("alice", plugin.Registered)
	for text, want := range map[string]string{
		"6d6": "6 dice, expected 1 to 5", "3d6+3d6": "6 dice, expected at most 5", "d101": "expected 1 to 100",
		"d0": "expected 1 to 100", "0d6": "expected 1 to 5", "3d6kh4": "keep 1 to 3", "3d6kh0": "keep 1 to 3",
		"5": "expected dice", "d6d6": "expected dice", "🎲": "expected dice", "d6+": "expected dice",
		"d99999999999999999999": "expected", "d6+9999999": "expected at most 1000000",
		"d1" + strings.Repeat("+1", 10): "at most 10 parts", strings.Repeat("d6", 150): "expected dice",
	} {
		alice.Says("!roll " + text).ExpectsWrong(regexp.QuoteMeta(want))
	}
	alice.Says("!roll 2D6 + 3").Expects(`^🎲 alice: 2d6\+3 = \d+ \[\d, \d\]$`)
	alice.Says("!roll d%").Expects(`= \d{1,3}$`)
	alice.Says("!roll d1-5").Expects(`= -4$`)
	for _, text := range []string{"0", "1001", "-1", "x", "1e3"} {
		alice.Says("!flip " + text).ExpectsWrong(`from 1 to 1000`)
	}
}

// Everything that can be chosen is chosen at some time, and nothing else.
func TestChoose(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, dice.New())
	alice := room.As("alice", plugin.Registered)
	for text, want := range map[string][]string{
		"tea or coffee": {"tea", "coffee"}, "green tea, black tea OR water": {"green tea", "black tea", "water"},
		"a|b": {"a", "b"}, "one two": {"one", "two"}, "x,,y, ": {"x", "y"},
	} {
		missing := map[string]bool{}
		for _, one := range want {
			missing["alice: "+one] = true
		}
		pattern := fmt.Sprintf("^alice: (%s)$", strings.Join(want, "|"))
		for i := 0; len(missing) > 0 && i < 300; i++ {
			delete(missing, alice.Says("!choose "+text).Expects(pattern).Text())
		}
		if len(missing) > 0 {
			t.Errorf("%q: never chosen: %v", text, missing)
		}
	}
}

func TestTheAnswersAreASetting(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, dice.New(), plugintest.Setting("answers", "Ask the cat., Ask the cat."))
	room.As("alice", plugin.Registered).Says("!8ball Is it?").Expects(`^🎱 alice: Ask the cat\.$`)
}
