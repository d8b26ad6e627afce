package countdown_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/plugin/builtin/countdown"
	"rosey.dev/rosey/runtime/plugin/plugintest"
)

func TestExamples(t *testing.T) {
	t.Parallel()
	plugintest.Examples(t, countdown.New)
}

// The test's clock begins at noon of a Monday.
func TestWhatComesNext(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, countdown.New(), plugintest.Setting("timeZone", "Europe/Berlin"),
		plugintest.Setting("alerts", "")) // noon UTC is two in the afternoon in Berlin
	bob, alice := room.As("bob", plugin.Moderator), room.As("alice", plugin.Guest)
	for text, want := range map[string]string{
		"Today = 20:00": "in 6 h, Mon 1 Jul 20:00 CEST", "Tomorrow = 8:05": "in 18 h 5 min, Tue 2 Jul 08:05 CEST",
		"Friday = fri 14:00": "in 4 days, Fri 5 Jul 14:00", "Weekly = every Monday 13:00": "in 6 days 23 h, every Mon 13:00",
		"Far = 2030-12-24 18:00": "in 176 days 5 h, Tue 24 Dec 18:00 CET", "Soon = in 1h 30s": "in 1 h 1 min, ",
	} {
		name, _, _ := strings.Cut(text, " ")
		bob.Says("!addcountdown " + text).Expects("^" + name + ": " + regexp.QuoteMeta(want))
	}
	alice.Says("!countdown").Expects("^Soon: ")
	alice.Says("!cd WEEK").Expects("^Weekly: ")
	alice.Says("!countdown nothing").ExpectsWrong(`no countdown "nothing"`)
	alice.Says("!schedule").Expects("(?s)^Soon: .*\nToday: .*\nTomorrow: .*\nFriday: .*\nWeekly: [^\n]*$")
	alice.Says("!addcountdown x = 20:00").ExpectsRefused()
	alice.Says("!delcountdown Soon").ExpectsRefused()
	bob.Says("!delcountdown  SOON").Expects("Removed")
	bob.Says("!addcountdown today = in 2h").Expects("^today: in 2 h") // changes the one of that name
	room.Pass(3 * time.Hour)
	alice.Says("!countdown").Expects("^Tomorrow: ")
}

func TestItIsSaidOnceBeforeAndWhenItBegins(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, countdown.New())
	bob := room.As("bob", plugin.Moderator)
	bob.Says("!addcountdown Movie night = every mon 14:00")
	bob.Says("!addcountdown Break = in 90m")
	for range 3 {
		room.Pass(50 * time.Minute)
	}
	want := []string{
		"Break begins in 1 h.", "Movie night begins in 1 h.", "Break begins in 10 min.", "Break begins now!",
		"Movie night begins in 10 min.", "Movie night begins now!",
	}
	for _, line := range want {
		room.Hears("^" + regexp.QuoteMeta(line) + "$")
	}
	room.Silent()
	room.Pass(time.Hour)
	if room.Stored("show/break", new(any)) {
		t.Error("a countdown that has ended is kept")
	}
}

func TestAWeeklyShowIsSaidEveryWeek(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, countdown.New(), plugintest.At(plugintest.Epoch.AddDate(0, 0, 21).Add(50*time.Minute)),
		plugintest.Stored("show/movies", weekly("Movies", plugintest.Epoch.Add(2*time.Hour), "UTC")))
	room.Pass(20 * time.Minute)
	room.Hears(`^Movies begins in 1 h\.$`)
	room.Silent()
}

func weekly(name string, at time.Time, zone string) map[string]any {
	return map[string]any{"name": name, "at": at.Unix(), "weekly": true, "zone": zone, "by": "bob"}
}

// The bot was away when it should have been said: it is neither said late nor forgotten for good.
func TestWhatCannotBeSaidIsNotSaidLate(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, countdown.New(), plugintest.Setting("alerts", "0s"))
	room.As("bob", plugin.Moderator).Says("!addcountdown Break = in 5m")
	room.Deny("kv", "away")
	room.Pass(10 * time.Minute)
	room.As("bob", plugin.Moderator).Says("!countdown").ExpectsFailed("500")
	room.Silent()
}

// Each would wait for the flood limit, and the last ones would be late.
func TestShowsThatBeginTogetherAreSaidTogether(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, countdown.New(), plugintest.Setting("alerts", "0s"))
	bob := room.As("bob", plugin.Moderator)
	for i := range 7 {
		bob.Says(fmt.Sprintf("!addcountdown show %d = in 5m", i)).Expects("in 5 min")
	}
	room.DenyOnce("say", "no")
	room.Pass(5 * time.Minute)
	room.Hears(`^show 5 begins now!$`) // the first five were refused
	room.Hears(`^show 6 begins now!$`)
	room.Pass(time.Minute)
	room.Silent()
}

func TestWhatBeginsWhileTheBotIsReplacedIsSaidAfterwards(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, countdown.New(), plugintest.Setting("alerts", "0s"))
	room.As("bob", plugin.Moderator).Says("!addcountdown Break = in 5m")
	room.Away("say")
	room.Pass(5 * time.Minute)
	room.Allow("say")
	room.Pass(time.Minute)
	room.Hears(`^Break begins now!$`)
	room.Pass(time.Minute)
	room.Silent()
}

func TestBadTimes(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, countdown.New())
	bob := room.As("bob", plugin.Moderator)
	for _, when := range []string{
		"", "25:00", "20:60", "every 20:00", "funday 20:00", "2029-01-01 20:00", "2099-01-01 20:00", "2030-02-30 20:00",
		"in", "in 0m", "in -5m", "in 999999h", "in forever", strings.Repeat("9", 300), "\u202e20:00",
	} {
		bob.Says("!addcountdown x = " + when).ExpectsWrong("expected")
	}
	for _, name := range []string{"", "/kick", strings.Repeat("é", 61)} {
		bob.Says("!addcountdown " + name + " = 20:00").ExpectsWrong("expected")
	}
}

func TestTheNumberOfCountdownsIsBounded(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, countdown.New())
	bob := room.As("bob", plugin.Moderator)
	for i := range 50 {
		bob.Says(fmt.Sprintf("!addcountdown show %d = 20:00", i)).Expects("in 8 h")
	}
	bob.Says("!addcountdown one more = 20:00").ExpectsWrong("50 countdowns already")
	bob.Says("!addcountdown show 7 = 21:00").Expects("in 9 h")
}

// The clocks in Berlin are put back on 27 October 2030: what comes every week begins at the same hour.
func TestAWeeklyShowKeepsItsHourWhenTheClocksChange(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, countdown.New(), plugintest.Setting("timeZone", "Europe/Berlin"),
		plugintest.Setting("alerts", ""),
		plugintest.Stored("show/movies", weekly("Movies", time.Date(2030, 6, 7, 18, 0, 0, 0, time.UTC), "Europe/Berlin")),
		plugintest.At(time.Date(2030, 10, 26, 12, 0, 0, 0, time.UTC)))
	room.As("alice", plugin.Guest).Says("!countdown").Expects(`^Movies: in 6 days 7 h, every Fri 20:00 CET$`)
}
