package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/cytube"
)

// offer has plugins that offer commands.
func (r *rig) offer(plugins ...Plugin) { r.Registry.SetPlugins(plugins) }

// dice is a plugin that is there.
func dice(commands ...bus.PluginCommand) Plugin {
	return Plugin{Name: "dice", Available: true, Commands: commands}
}

func TestPluginsAreCalledByWhoMay(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 0), func(r *rig) {
		r.offer(dice(
			bus.PluginCommand{
				Name: "roll", Aliases: []string{"r"}, Usage: "[n]dS", Help: "rolls dice.", Examples: []string{"roll 2d6"}},
			bus.PluginCommand{Name: "load", Rank: 2}, bus.PluginCommand{Name: "peek", Via: []string{bus.ViaPM}},
		))
		r.chatFrom("alice", "!roll <em>2d6</em>")
		r.chatFrom("alice", "!R")
		r.chatFrom("alice", "!load")
		r.chatFrom("alice", "!peek")
		r.chatFrom("mod", "!dice.load 6")
		r.pmFrom("alice", "!peek  a card")
		r.pmFrom("alice", "unheard of")
		r.expect("called", &r.called, `dice roll chat alice 1 "_2d6_" "!roll _2d6_"`, `dice roll chat alice 1 "" "!R"`,
			`dice load chat mod 2 "6" "!dice.load 6"`, `dice peek pm alice 1 "a card" "!peek a card"`)
		r.expect("said", &r.said)
		r.chatFrom("alice", "!help")
		r.chatFrom("alice", "!help roll")
		r.chatFrom("alice", "!help !seen")
		r.expect("said", &r.said, "Commands: !help, !seen USER, !stats [USER], !top, !uptime, !roll [n]dS",
			"!roll [n]dS: rolls dice; for example !roll 2d6", "!seen USER: tells when somebody was here last")
		r.offer(Plugin{Name: "dice", Commands: []bus.PluginCommand{{Name: "roll"}}})
		r.chatFrom("alice", "!help")
		r.expect("said", &r.said, "Commands: !help, !seen USER, !stats [USER], !top, !uptime; away: dice")
		r.chatFrom("alice", "!roll")
		r.expect("a plugin that is away may only be slow", &r.called, `dice roll chat alice 1 "" "!roll"`)
	})
}

func TestWhoHasAName(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 0), func(r *rig) {
		r.offer(dice(bus.PluginCommand{Name: "help"}, bus.PluginCommand{Name: "roll"}, bus.PluginCommand{Name: "add"}),
			Plugin{Name: "bread", Available: true, Commands: []bus.PluginCommand{{Name: "roll", Aliases: []string{"bun"}}}})
		for _, line := range []string{"!roll", "!bread.roll", "!bun", "!dice.help", "!dice.roll", "!add", "!dice.add"} {
			r.chatFrom("mod", line)
		}
		r.expect("called", &r.called, `dice roll chat mod 2 "" "!roll"`, `bread roll chat mod 2 "" "!bread.roll"`,
			`bread roll chat mod 2 "" "!bun"`, `dice help chat mod 2 "" "!dice.help"`, `dice roll chat mod 2 "" "!dice.roll"`,
			`dice add chat mod 2 "" "!dice.add"`)
		r.pmFrom("mod", "add")
		if said := r.take(&r.said); len(said) != 1 || !strings.HasPrefix(said[0], "mod: add: expected the link of a video") {
			t.Errorf("said %q", said)
		}
		typed, conflicts := r.Registry.Offered("bread")
		if got := strings.Join(append(typed, conflicts...), "; "); got != "bread.roll; roll is a command of dice" {
			t.Errorf("bread: %s", got)
		}
		_, conflicts = r.Registry.Offered("dice")
		if got := strings.Join(conflicts, "; "); got != "help is a command of the bot; add is a command of the bot" {
			t.Errorf("dice: %s", got)
		}
		r.chatFrom("mod", "!help")
		r.expect("said", &r.said,
			"Commands: !help, !seen USER, !stats [USER], !top, !uptime, !dice.help, !roll, !dice.add, !bread.roll")
	})
}

// TestNoPluginGetsTheNameOfACommandThatIsDisabled has plugins declare names of the bot that the owner does not use.
func TestNoPluginGetsTheNameOfACommandThatIsDisabled(t *testing.T) {
	t.Parallel()
	c := enabled("!", 0)
	c.Overrides = map[string]config.CommandOverride{
		"say": {Disabled: true}, "top": {Disabled: true}, "help": {Name: "hilfe"}, "films.add": {Name: "add"},
	}
	inChannel(t, c, func(r *rig) {
		r.offer(dice(bus.PluginCommand{Name: "say", Aliases: []string{"top", "kick"}},
			bus.PluginCommand{Name: "roll", Aliases: []string{"help"}}),
			Plugin{Name: "films", Available: true, Commands: []bus.PluginCommand{{Name: "add"}}})
		for _, line := range []string{"!say a", "!top", "!kick", "!help", "!dice.say b", "!add c"} {
			r.chatFrom("mod", line)
		}
		for _, line := range []string{"!say d", "say e", "!top", "!kick", "!help", "!dice.say f"} {
			r.pmFrom("alice", line)
		}
		r.expect("called", &r.called, `dice say chat mod 2 "b" "!dice.say b"`, `films add chat mod 2 "c" "!add c"`,
			`dice say pm alice 1 "f" "!dice.say f"`)
		r.expect("said", &r.said)
		_, conflicts := r.Registry.Offered("dice")
		if got := strings.Join(conflicts, "; "); got != "say is a command of the bot; top is a command of the bot; "+
			"kick is a command of the bot; help is a command of the bot" {
			t.Errorf("conflicts: %s", got)
		}
		if _, conflicts = r.Registry.Offered("films"); len(conflicts) != 1 { // in private messages
			t.Errorf("conflicts: %s", conflicts)
		}
	})
}

// TestPluginsGetNoPrivateMessagesWithoutThePrefix has a plugin claim words with which people begin.
func TestPluginsGetNoPrivateMessagesWithoutThePrefix(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 0), func(r *rig) {
		r.offer(dice(bus.PluginCommand{Name: "hi", Aliases: []string{"please", "my"}}))
		for _, text := range []string{"hi there", "my password is swordfish", "dice.hi", "please !hi"} {
			r.pmFrom("alice", text)
		}
		r.expect("called", &r.called)
		r.pmFrom("mod", "hi there")
		r.expect("said", &r.said, "mod: unknown: there is no such command; send help for a list")
		r.expect("audited", &r.audited, `mod unknown "" error: there is no such command; send help for a list`)
		r.pmFrom("alice", "!hi there")
		r.pmFrom("alice", "!dice.hi")
		r.expect("called", &r.called, `dice hi pm alice 1 "there" "!hi there"`, `dice hi pm alice 1 "" "!dice.hi"`)
		r.pmFrom("mod", "help hi")
		r.pmFrom("mod", "!help add") // the bot's own have it or not
		r.expect("said", &r.said, "mod: !hi", "mod: add URL [temp]: adds to the playlist")
	})
}

// TestOverridesHoldForWhateverHasTheName has a plugin declare a command as the alias of another one.
func TestOverridesHoldForWhateverHasTheName(t *testing.T) {
	t.Parallel()
	c := enabled("!", 0)
	c.Overrides = map[string]config.CommandOverride{
		"roll":      {Rank: new(2.0), Deny: []string{"carol"}},
		"dice.cast": {Allow: []string{"alice"}, Deny: []string{"bob"}},
		"cast":      {Rank: new(3.0)},
		"flip":      {Disabled: true},
		"dice.w":    {Name: "würfel"},
	}
	inChannel(t, c, func(r *rig) {
		for name, rank := range map[string]float64{"bob": 4, "carol": 4} {
			r.arrive(cytube.AddUser{User: cytube.User{Name: name, Rank: rank}})
		}
		r.offer(dice(bus.PluginCommand{Name: "throw", Aliases: []string{"roll", "flip", "w"}},
			bus.PluginCommand{Name: "cast"}))
		for _, line := range []string{"!throw", "!roll", "!flip", "!w", "!würfel", "!cast"} {
			r.chatFrom("alice", line)
		}
		r.expect("by alice", &r.called, `dice throw chat alice 1 "" "!throw"`, `dice throw chat alice 1 "" "!würfel"`,
			`dice cast chat alice 1 "" "!cast"`)
		for _, user := range []string{"mod", "bob", "carol"} {
			r.chatFrom(user, "!roll")
			r.chatFrom(user, "!cast")
		}
		r.chatFrom("carol", "!throw") // who is denied one name does not do the same by another
		r.expect("by others", &r.called, `dice throw chat mod 2 "" "!roll"`, `dice throw chat bob 4 "" "!roll"`,
			`dice cast chat carol 4 "" "!cast"`)
	})
}

// TestOverridesMergeFieldByField has the owner say something about a name, and more about that of one plugin.
func TestOverridesMergeFieldByField(t *testing.T) {
	t.Parallel()
	wide := config.CommandOverride{
		Rank: new(2.0), Name: "wide", Allow: []string{"a"}, Deny: []string{"b"},
		Cooldown: &config.CommandCooldown{UserSeconds: new(1), ChannelSeconds: new(2)},
	}
	narrow := config.CommandOverride{
		Name: "narrow", Deny: []string{"c"}, Cooldown: &config.CommandCooldown{ChannelSeconds: new(0)}}
	want := config.CommandOverride{
		Rank: new(2.0), Name: "narrow", Allow: []string{"a"}, Deny: []string{"b", "c"},
		Cooldown: &config.CommandCooldown{UserSeconds: new(1), ChannelSeconds: new(0)},
	}
	if diff := cmp.Diff(want, merge(wide, narrow)); diff != "" {
		t.Errorf("merged (-want +got):\n%s", diff)
	}
	if !merge(config.CommandOverride{Disabled: true}, narrow).Disabled {
		t.Error("what is disabled for all is not for one")
	}
}

func TestOverridesThatAreAboutNoCommandAreReported(t *testing.T) {
	t.Parallel()
	c := enabled("!", 0)
	c.Overrides = map[string]config.CommandOverride{
		"top": {}, "tpo": {}, "roll": {}, "r": {}, "rool": {}, "dice.roll": {}, "dice.r": {},
		"dice.rool": {}, "bread.bun": {},
	}
	registry := NewRegistry()
	registry.Configure(c)
	expect := func(what string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, registry.UnusedOverrides()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	expect("without plugins", "bread.bun", "dice.r", "dice.roll", "dice.rool", "r", "roll", "rool", "tpo")
	registry.SetPlugins([]Plugin{{Name: "dice"}})
	expect("a plugin that was not found yet", "bread.bun")
	found := dice(bus.PluginCommand{Name: "roll", Aliases: []string{"r"}})
	registry.SetPlugins([]Plugin{found, {Name: "bread"}})
	expect("another was not", "dice.rool")
	found.Available = false
	registry.SetPlugins([]Plugin{found, {Name: "bread", Available: true}})
	expect("all were", "bread.bun", "dice.rool", "rool", "tpo")
}

func TestTheOwnerOverrules(t *testing.T) {
	t.Parallel()
	c := enabled("!", 0)
	c.Overrides = map[string]config.CommandOverride{
		"top":       {Disabled: true},
		"seen":      {Name: "lastseen", Deny: []string{"Alice"}},
		"users":     {Rank: new(1.0)},
		"roll":      {Rank: new(2.0), Allow: []string{"ALICE", "guest"}},
		"dice.load": {Name: "cheat"},
		"stats":     {Cooldown: &config.CommandCooldown{ChannelSeconds: new(60)}},
	}
	inChannel(t, c, func(r *rig) {
		r.offer(dice(bus.PluginCommand{Name: "roll"}, bus.PluginCommand{Name: "load"}))
		r.arrive(cytube.AddUser{User: cytube.User{Name: "guest"}}, cytube.AddUser{User: cytube.User{Name: "bob", Rank: 1}})
		for _, line := range []string{"!top", "!seen mod", "!lastseen mod"} {
			r.chatFrom("alice", line)
		}
		r.expect("said", &r.said)
		r.chatFrom("mod", "!lastseen")
		r.expect("said", &r.said, "lastseen: usage: !lastseen USER")
		for _, user := range []string{"alice", "bob", "guest", "mod"} {
			r.chatFrom(user, "!roll")
		}
		r.chatFrom("bob", "!load")
		r.chatFrom("bob", "!cheat")
		r.expect("called", &r.called, `dice roll chat alice 1 "" "!roll"`, `dice roll chat mod 2 "" "!roll"`,
			`dice load chat bob 1 "" "!cheat"`)
		r.pmFrom("alice", "users")
		if said := r.take(&r.said); len(said) != 1 || !strings.HasPrefix(said[0], "alice: 5 users: ") {
			t.Errorf("said %q", said)
		}
		r.take(&r.counted)
		r.chatFrom("alice", "!stats")
		synctest.Wait()
		r.chatFrom("mod", "!stats")
		r.expect("counted", &r.counted, "chat stats success", "chat stats cooldown")
		r.take(&r.said)

		// A change is in force at once.
		c.Overrides = nil
		r.Registry.Configure(c)
		r.chatFrom("alice", "!top")
		r.expect("said", &r.said, "Nobody has said anything yet")
	})
}

func TestIgnoredUsersCallNothing(t *testing.T) {
	t.Parallel()
	c := enabled("!", 0)
	c.Ignore = []string{"Mod"}
	inChannel(t, c, func(r *rig) {
		r.offer(dice(bus.PluginCommand{Name: "roll"}))
		r.chatFrom("mod", "!help")
		r.chatFrom("mod", "!roll")
		r.pmFrom("mod", "help")
		r.pmFrom("mod", "roll")
		r.expect("said", &r.said)
		r.expect("called", &r.called)
		r.expect("counted", &r.counted)
	})
}

// TestLinesWithoutThePrefixCallOnlyWhatTheirWriterMayCall asks whose lines plugins may take as their commands.
func TestLinesWithoutThePrefixCallOnlyWhatTheirWriterMayCall(t *testing.T) {
	t.Parallel()
	c, everybodys := enabled("!", 0), "bot.ai,quiz.a"
	c.Ignore = []string{"Spam"}
	c.Overrides = map[string]config.CommandOverride{
		"ai": {Rank: new(1.), Deny: []string{"Mallory"}}, "bot.ai": {Allow: []string{"alice"}},
		"a": {Disabled: true, Deny: []string{"bob"}}, "ask": {Rank: new(2.)},
	}
	registry := NewRegistry()
	registry.Configure(c)
	if got, _ := registry.MayCall("alice", 1); got != nil {
		t.Errorf("without plugins: %q", got)
	}
	registry.SetPlugins([]Plugin{{Name: "bot"}})
	if got, _ := registry.MayCall("alice", 1); got == nil || len(got) != 0 {
		t.Errorf("before the plugin is found: %q", got)
	}
	registry.SetPlugins([]Plugin{
		{Name: "bot", Available: true, Commands: []bus.PluginCommand{
			{Name: "ai", Aliases: []string{"ask"}, Lines: true}, {Name: "other"},
			{Name: "private", Lines: true, Via: []string{bus.ViaPM}},
		}},
		{Name: "quiz", Commands: []bus.PluginCommand{{Name: "a", Lines: true}, {Name: "hard", Lines: true, Rank: 3}}},
	})
	for _, one := range []struct {
		user string
		rank float64
		want string
	}{
		{"alice", 1, everybodys}, {"carol", 1, everybodys}, {"carol", 0, "quiz.a"}, {"spam", 5, ""},
		{"MALLORY", 2, "quiz.a"}, {"Bob", 2, "bot.ai"}, {"admin", 3, everybodys + ",quiz.hard"},
	} {
		mayCall, cooling := registry.MayCall(one.user, one.rank)
		if got := strings.Join(mayCall, ","); got != one.want || len(cooling) > 0 {
			t.Errorf("%s with rank %v: %q, want %q; with cooldowns %q", one.user, one.rank, got, one.want, cooling)
		}
	}
}

// The cooldown that the owner of the bot had set did not hold for lines that a plugin takes as the command.
func TestACommandAndLinesThatAreTakenAsItHaveOneCooldown(t *testing.T) {
	t.Parallel()
	c := enabled("!", 0)
	c.Overrides = map[string]config.CommandOverride{
		"bot.ai": {Cooldown: &config.CommandCooldown{UserSeconds: new(60)}}}
	inChannel(t, c, func(r *rig) {
		r.offer(Plugin{Name: "bot", Available: true, Commands: []bus.PluginCommand{
			{Name: "ai", Aliases: []string{"ask"}, Lines: true}, {Name: "other", Lines: true}}})
		if _, cooling := r.Registry.MayCall("alice", 1); !slices.Equal(cooling, []string{"bot.ai"}) {
			t.Errorf("commands with a cooldown: %q", cooling)
		}
		take := func(user string) error { return r.Registry.Take("bot", "ai", user, 1, time.Now()) }
		if err := take("Alice"); err != nil {
			t.Errorf("the first line: %v", err)
		}
		if err := take("alice"); !errors.Is(err, ErrCooldown) {
			t.Errorf("the second line: %v", err)
		}
		r.chatFrom("alice", "!ask x")
		r.chatFrom("mod", "!ai x")
		r.expect("called", &r.called, "bot rejected", `bot ai chat mod 2 "x" "!ai x"`)
		if err := take("mod"); !errors.Is(err, ErrCooldown) {
			t.Errorf("a line after the command: %v", err)
		}
		time.Sleep(time.Minute)
		r.chatFrom("alice", "!ask x")
		r.expect("called", &r.called, `bot ai chat alice 1 "x" "!ask x"`)
	})
}

func TestPluginsAreNotCalledByLinesThatAreNoCommands(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 0), func(r *rig) {
		r.offer(dice(bus.PluginCommand{Name: "roll"}))
		r.chatFrom("Rosey", "!roll")
		r.chatFrom("nobody", "!roll")
		r.chatFrom("[server]", "!roll")
		r.arrive(cytube.ChatMessage{User: "alice", HTML: "!roll", Shadow: true},
			cytube.ChatMessage{User: "alice", HTML: "!roll", Kind: "action"}, cytube.PM{From: "Rosey", To: "mod", HTML: "roll"})
		r.leading.Store(false)
		r.chatFrom("alice", "!roll")
		r.expect("called", &r.called)
	})
}

// TestCooldownsOutlastAPlugin lets a plugin go and come back.
func TestCooldownsOutlastAPlugin(t *testing.T) {
	t.Parallel()
	c := enabled("!", 1)
	c.ChannelCooldownSeconds = new(0)
	inChannel(t, c, func(r *rig) {
		roll := dice(bus.PluginCommand{Name: "roll", Cooldown: bus.PluginCooldown{UserMS: 60_000, ChannelMS: 3_000}})
		r.offer(roll)
		r.chatFrom("alice", "!roll")
		r.chatFrom("mod", "!roll")
		r.expect("called", &r.called, `dice roll chat alice 1 "" "!roll"`, "dice rejected")
		r.offer(Plugin{Name: "dice"})
		r.offer(roll)
		time.Sleep(3 * time.Second)
		r.chatFrom("ALICE", "!roll")
		r.chatFrom("mod", "!roll")
		r.expect("called", &r.called, "dice rejected", `dice roll chat mod 2 "" "!roll"`)
		r.refund() // the call was not valid
		time.Sleep(time.Second)
		r.chatFrom("mod", "!roll")
		r.expect("called", &r.called, `dice roll chat mod 2 "" "!roll"`)
		time.Sleep(time.Minute)
		r.chatFrom("alice", "!roll")
		r.expect("called", &r.called, `dice roll chat alice 1 "" "!roll"`)
	})
}

// TestPluginsDoNotEndCooldownsOfTheOwner has a plugin say that its calls do not count.
func TestPluginsDoNotEndCooldownsOfTheOwner(t *testing.T) {
	t.Parallel()
	c := enabled("!", 0)
	c.Overrides = map[string]config.CommandOverride{
		"dice.roll": {Cooldown: &config.CommandCooldown{UserSeconds: new(60)}}}
	inChannel(t, c, func(r *rig) {
		r.offer(dice(bus.PluginCommand{Name: "roll", Cooldown: bus.PluginCooldown{ChannelMS: 30_000}}))
		r.chatFrom("alice", "!roll")
		r.forgive()
		r.chatFrom("alice", "!roll")
		r.chatFrom("mod", "!roll")
		r.expect("called", &r.called, `dice roll chat alice 1 "" "!roll"`, "dice rejected",
			`dice roll chat mod 2 "" "!roll"`)
		r.refund() // it was not even called
		r.chatFrom("mod", "!roll")
		r.expect("called", &r.called, `dice roll chat mod 2 "" "!roll"`)
	})
}

// TestPluginsAreCalledInPrivateNoFasterThanInTheChat gives commands of a plugin in private messages.
func TestPluginsAreCalledInPrivateNoFasterThanInTheChat(t *testing.T) {
	t.Parallel()
	c := enabled("!", 5)
	c.ChannelCooldownSeconds = new(5)
	inChannel(t, c, func(r *rig) {
		r.offer(dice(bus.PluginCommand{Name: "roll"}))
		r.pmFrom("alice", "!roll")
		r.pmFrom("alice", "!roll")
		r.chatFrom("alice", "!roll")
		r.pmFrom("mod", "!roll") // nobody waits for what others do in private
		r.pmFrom("mod", "users")
		r.expect("called", &r.called, `dice roll pm alice 1 "" "!roll"`, "dice rejected", "dice rejected",
			`dice roll pm mod 2 "" "!roll"`)
		if said := r.take(&r.said); len(said) != 1 {
			t.Errorf("a command of the bot waited: %q", said)
		}
	})
}

func TestWhatIsAuditedOfArguments(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		plugin, args, want string
		source             source
		private            bool
	}{
		{"", "alice a secret", "alice (8 characters)", fromPM, true},
		{"", "alice", "alice", fromPM, true},
		{"", "alice a reason", "alice a reason", fromPM, false},
		{"dice", "süß", "(3 characters)", fromChat, true},
		{"dice", "", "", fromChat, true},
		{"dice", "2d6", "2d6", fromChat, false},
		{"dice", "2d6", "(3 characters)", fromPM, false},
		{"dice", "", "", fromPM, false},
	} {
		declared := bus.PluginCommand{Private: test.private}
		e := &entry{plugin: test.plugin, command: command{PluginCommand: declared, source: test.source}}
		if got := e.auditedArgs(test.args); got != test.want {
			t.Errorf("%q of %q by %s: %q, want %q", test.args, test.plugin, test.source, got, test.want)
		}
	}
}

// TestKicksOfPluginsDelayNoReply has a plugin kick more than the flood limit lets through.
func TestKicksOfPluginsDelayNoReply(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 0), func(r *rig) {
		for range 30 {
			r.act(Act{Verb: bus.VerbKick, Request: bus.PluginActRequest{User: "alice"}})
		}
		r.chatFrom("mod", "!uptime")
		r.expect("said", &r.said, "Running for 0 s")
	})
}

func TestTheWholeChannelWaits(t *testing.T) {
	t.Parallel()
	c := enabled("!", 0)
	c.ChannelCooldownSeconds = new(10)
	inChannel(t, c, func(r *rig) {
		r.chatFrom("alice", "!uptime")
		r.chatFrom("mod", "!uptime")
		r.expect("said", &r.said, "Running for 0 s")
		time.Sleep(10 * time.Second)
		r.chatFrom("mod", "!uptime")
		r.expect("said", &r.said, "Running for 10 s")
	})
}

func TestNoCommandBeforeTheSettingsAreKnown(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 0), func(r *rig) {
		r.Registry.names.Store(nil)
		r.chatFrom("alice", "!help")
		r.pmFrom("mod", "help")
		r.expect("said", &r.said)
	})
}

func TestHelpIsBounded(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 0), func(r *rig) {
		var many []bus.PluginCommand
		for range 50 {
			many = append(many, bus.PluginCommand{
				Name:  strings.Repeat("x", 20) + string(rune('a'+len(many)%26)) + string(rune('a'+len(many)/26)),
				Usage: strings.Repeat("y ", 30)})
		}
		r.offer(dice(many...))
		r.chatFrom("alice", "!help")
		synctest.Wait()
		time.Sleep(time.Minute)
		if said := strings.Join(r.take(&r.said), " "); len(said) > maxHelp+100 || !strings.HasSuffix(said, ", and more") {
			t.Errorf("%d bytes: %s", len(said), said)
		}
	})
}

func TestActs(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 0), func(r *rig) {
		r.arrive(cytube.Permissions{Ranks: map[string]float64{
			"chat": 0, "kick": 2, "playlistadd": 1, "addnontemp": 2, "playlistjump": 2, "playlistdelete": 2, "pollctl": 2,
			"playlistshuffle": 2, "playlistaddlive": 4,
		}}, cytube.Playlist{Items: []cytube.Item{{UID: 7}}}, cytube.ChangeMedia{Media: cytube.Media{ID: "a"}})
		ok := "" // no error
		for _, test := range []struct {
			what    string
			act     Act
			request string
			event   cytube.Event
			want    string
		}{
			{"who asks left", Act{Verb: bus.VerbPlaylistSkip, Asker: "carol"}, "", nil, "carol is not in the channel any more"},
			{"a low rank", Act{Verb: bus.VerbPlaylistSkip, Asker: "alice", Rank: 2}, "", nil,
				"the rank of alice is 1, and it needs 2"},
			{"the bot's rank", Act{Verb: bus.VerbPlaylistAdd, Request: bus.PluginActRequest{URL: "li:abc"}}, "", nil,
				"the bot's rank in the channel does not allow it (playlistaddlive)"},
			{"no link", Act{Verb: bus.VerbPlaylistAdd}, "", nil,
				"expected the link of a video, a live stream or a media file, or TYPE:ID such as yt:abc"},
			{"no item", Act{Verb: bus.VerbPlaylistRemove}, "", nil, "uid: 0 is no item of the playlist"},
			{"no moderator is kicked", Act{Verb: bus.VerbKick, Request: bus.PluginActRequest{User: "mod"}}, "", nil,
				"the rank of mod is 2, and only lower ones than 2 are kicked"},
			{"nobody of the same rank",
				Act{Verb: bus.VerbKick, Asker: "alice", Request: bus.PluginActRequest{User: "alice"}}, "", nil,
				"the rank of alice is 1, and only lower ones than 1 are kicked"},
			{"no options", Act{Verb: bus.VerbPollOpen, Request: bus.PluginActRequest{Title: "x"}}, "", nil,
				"options: 0, expected 1 to 50"},
			{"nothing", Act{Verb: "ban"}, "", nil, `"ban" is nothing that a plugin can do`},
			{"temporary", Act{Verb: bus.VerbPlaylistAdd, Asker: "alice", Rank: 1, Request: bus.PluginActRequest{URL: "yt:abc"}},
				"queue yt abc true", added(1, "yt", "abc"), ok},
			{"for good", Act{Verb: bus.VerbPlaylistAdd, Asker: "mod", Request: bus.PluginActRequest{URL: "yt:abc"}},
				"queue yt abc false", cytube.QueueFail{Message: "no"}, "no"},
			{"skip", Act{Verb: bus.VerbPlaylistSkip}, "next", cytube.ChangeMedia{}, ok},
			{"skip what played before", Act{Verb: bus.VerbPlaylistSkip, Request: bus.PluginActRequest{UID: 99}}, "", nil,
				"something else plays by now"},
			{"remove", Act{Verb: bus.VerbPlaylistRemove, Request: bus.PluginActRequest{UID: 7}}, "delete 7",
				cytube.Delete{UID: 7}, ok},
			{"shuffle", Act{Verb: bus.VerbPlaylistShuffle}, "shuffle", cytube.Playlist{}, ok},
			{"poll", Act{Verb: bus.VerbPollOpen, Request: bus.PluginActRequest{Title: "x", Options: []string{"a", "b"}}},
				`open poll x ["a" "b"]`, cytube.NewPoll{By: "rosey"}, ok},
			{"end of a poll", Act{Verb: bus.VerbPollClose}, "close poll", cytube.PollClosed{}, ok},
			{"no poll", Act{Verb: bus.VerbPollClose}, "", nil, "no poll is open"},
			{"kick", Act{Verb: bus.VerbKick, Asker: "mod", Request: bus.PluginActRequest{User: "ALICE", Reason: "a\nb"}},
				`kick alice "a b"`, cytube.UserLeave{Name: "alice"}, ok},
		} {
			run, err := r.PrepareAct(test.act)
			if err == nil {
				ended := make(chan error, 1)
				go func() {
					_, err := run(r.t.Context())
					ended <- err
				}()
				r.expect(test.what, &r.requested, test.request)
				r.arrive(test.event)
				err = <-ended
			}
			if got := errorText(err); got != test.want {
				t.Errorf("%s: %q, want %q", test.what, got, test.want)
			}
		}
		r.expect("said", &r.said)
	})
}

// TestPluginsAddNothingThatTheAskerMayNotAdd has a bot that may add everything.
func TestPluginsAddNothingThatTheAskerMayNotAdd(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 0), func(r *rig) {
		r.arrive(cytube.AddUser{User: cytube.User{Name: "guest"}}, cytube.Permissions{Ranks: map[string]float64{
			"playlistadd": 1, "playlistaddlist": 1, "playlistaddlive": 1.5, "playlistaddcustom": 3, "playlistaddrawfile": 2,
		}})
		const raw, custom, list, live = "https://example.org/a.mp4", "cu:abc", "yp:abc", "tw:abc"
		for _, test := range []struct{ asker, link, denied string }{
			{"guest", "yt:abc", "the rank of guest in the channel does not allow it (playlistadd)"},
			{"alice", "yt:abc", ""},
			{"alice", list, ""},
			{"alice", live, "(playlistaddlive)"},
			{"alice", raw, "(playlistaddrawfile)"},
			{"alice", "cm:abc", "(playlistaddrawfile)"},
			{"alice", custom, "(playlistaddcustom)"},
			{"mod", live, ""},
			{"mod", raw, ""},
			{"mod", custom, "(playlistaddcustom)"},
			{"", "yt:abc", ""},
			{"", list, ""},
			{"", live, "url: registered users may not add this (playlistaddlive)"},
			{"", raw, "url: registered users may not add this (playlistaddrawfile)"},
			{"", custom, "url: registered users may not add this (playlistaddcustom)"},
		} {
			_, err := r.PrepareAct(Act{
				Verb: bus.VerbPlaylistAdd, Asker: test.asker, Request: bus.PluginActRequest{URL: test.link}})
			isAsWanted := err == nil && test.denied == "" ||
				IsDenied(err) && test.denied != "" && strings.Contains(err.Error(), test.denied)
			if !isAsWanted {
				t.Errorf("%s by %q: %v, want %q", test.link, test.asker, err, test.denied)
			}
		}
	})
}

// act does something in the background, and returns where its end is told.
func (r *rig) act(a Act) (ended <-chan string) {
	r.t.Helper()
	deed, err := r.PrepareAct(a)
	if err != nil {
		r.t.Fatal(err)
	}
	told := make(chan string, 1)
	go func() {
		added, err := deed(r.t.Context())
		if added != nil {
			told <- fmt.Sprintf("%d %s %s", added.UID, added.Media.ID, added.Media.Title)
			return
		}
		told <- errorText(err)
	}()
	synctest.Wait()
	return told
}

func add(link string) Act {
	return Act{Verb: bus.VerbPlaylistAdd, Request: bus.PluginActRequest{URL: link}}
}

// added is what the server sends for what the bot has added.
func added(uid int, kind, id string) cytube.Queue {
	return cytube.Queue{Item: cytube.Item{
		UID: uid, Media: cytube.Media{Type: kind, ID: id, Title: "Film " + id, Seconds: 60}, QueuedBy: "Rosey"}}
}

// TestStreamsAreNotAddedForWhoMayNotAddThem has links of which the server finds out that they are live streams.
func TestStreamsAreNotAddedForWhoMayNotAddThem(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 0), func(r *rig) {
		r.arrive(cytube.Permissions{Ranks: map[string]float64{
			"chat": 0, "playlistadd": 1, "playlistaddlive": 2.5, "addnontemp": 1}},
			cytube.AddUser{User: cytube.User{Name: "admin", Rank: 3}})
		stream := added(7, "yt", "abc")
		stream.Item.Media.Seconds = 0
		for asker, want := range map[string]string{"alice": "delete 7", "": "delete 7", "admin": ""} {
			act := add("yt:abc")
			act.Asker = asker
			ended := r.act(act)
			r.take(&r.requested)
			r.arrive(stream)
			if got := <-ended; strings.Contains(got, "it is a live stream") != (want != "") {
				t.Errorf("%q adds a stream: %s", asker, got)
			}
			if got := strings.Join(r.take(&r.requested), " "); got != want {
				t.Errorf("%q adds a stream: requested %q, want %q", asker, got, want)
			}
		}
		r.pmFrom("mod", "add yt:abc")
		r.take(&r.requested)
		r.arrive(stream)
		r.expect("by private message", &r.requested, "delete 7")
		if said := r.take(&r.said); len(said) != 1 || !strings.HasPrefix(said[0], "mod: add: it is a live stream") {
			t.Errorf("said %q", said)
		}
	})
}

// Who may not add a live stream must not have one in the playlist because the server is slow.
func TestStreamsThatComeLateAreNotLeftInThePlaylist(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 0), func(r *rig) {
		r.arrive(cytube.Permissions{Ranks: map[string]float64{
			"chat": 0, "playlistadd": 1, "playlistaddlist": 1, "playlistaddlive": 2.5, "addnontemp": 1}},
			cytube.AddUser{User: cytube.User{Name: "admin", Rank: 3}})
		stream := func(uid int, kind, id string) cytube.Queue {
			shown := added(uid, kind, id)
			shown.Item.Media.Seconds = 0
			return shown
		}
		unconfirmed := func(asker, link string) {
			act := add(link)
			act.Asker = asker
			ended := r.act(act)
			time.Sleep(confirmTimeout)
			if got := <-ended; got != errUnconfirmed.Error() {
				t.Errorf("not shown in time: %s", got)
			}
			r.take(&r.requested)
		}
		unconfirmed("alice", "yt:abc")
		ofAnother := stream(6, "yt", "abc")
		ofAnother.Item.QueuedBy = "mod"
		r.arrive(ofAnother)
		r.expect("of somebody else", &r.requested)
		r.arrive(stream(7, "yt", "abc"))
		r.expect("late", &r.requested, "delete 7")
		r.arrive(stream(8, "yt", "abc"))
		r.expect("nobody's", &r.requested)

		unconfirmed("alice", "https://video.example.org/w/aaaaaaaaaaaaaaaaaaaaaa")
		r.arrive(stream(9, "pt", "video.example.org;00000000-0000-0000-0000-000000000000"))
		r.expect("with another ID", &r.requested, "delete 9")
		unconfirmed("alice", "yt:film")
		r.arrive(added(10, "yt", "film"))
		r.expect("a film", &r.requested)
		unconfirmed("admin", "yt:abc")
		r.arrive(stream(11, "yt", "abc"))
		r.expect("who may", &r.requested)
		unconfirmed("alice", "yt:abc")
		r.arrive(cytube.QueueFail{ID: "abc", Message: "no"}, stream(12, "yt", "abc"))
		r.expect("refused late", &r.requested)

		list := add("yp:many")
		list.Asker = "alice"
		ended := r.act(list)
		r.take(&r.requested)
		r.arrive(added(13, "yt", "first"), stream(14, "yt", "second"), added(15, "yt", "third"))
		if got := <-ended; got != "13 first Film first" {
			t.Errorf("added %s", got)
		}
		r.expect("in a list", &r.requested, "delete 14")
	})
}

// TestWhatIsAddedNamesWhoHadItAdded also has the server show it late, under another ID, and in parts.
func TestWhatIsAddedNamesWhoHadItAdded(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 0), func(r *rig) {
		r.arrive(cytube.Permissions{Ranks: map[string]float64{"playlistadd": 0, "playlistaddlist": 0, "playlistaddlive": 0}})
		begin := func(plugin, call, link string) (ended <-chan string) {
			act := add(link)
			act.Plugin, act.Request.Call = plugin, call
			ended = r.act(act)
			r.take(&r.requested)
			return ended
		}
		shown := func(uid int, kind, id, want string) {
			t.Helper()
			event := added(uid, kind, id)
			plugin, call := r.CauseOf(event)
			if got := plugin + " " + call; got != want {
				t.Errorf("item %d: %q, want %q", uid, got, want)
			}
			r.arrive(event)
		}
		shown(1, "yt", "abc", " ") // nobody's
		ofAnother := added(2, "yt", "abc")
		ofAnother.Item.QueuedBy = "mod"
		late := begin("films", "one", "sc:late")
		time.Sleep(confirmTimeout)
		if got := <-late; got != errUnconfirmed.Error() {
			t.Errorf("not shown in time: %s", got)
		}
		now := begin("films", "two", "https://soundcloud.com/a/b")
		if plugin, call := r.CauseOf(ofAnother); plugin+call != "" {
			t.Errorf("of somebody else: %s %s", plugin, call)
		}
		shown(3, "sc", "late", "films one")
		shown(4, "sc", "1234", "films two")
		if got := <-now; got != "4 1234 Film 1234" {
			t.Errorf("added %s", got)
		}
		shown(5, "sc", "1234", " ")
		refused := func(id, want string) {
			t.Helper()
			event := cytube.QueueFail{ID: id, Message: "no"}
			plugin, call := r.CauseOf(event)
			if got := plugin + " " + call; got != want {
				t.Errorf("%q is refused: %q, want %q", id, got, want)
			}
			r.arrive(event)
		}
		refused("", " ")
		refused("never", " ")
		slow := begin("films", "three", "yt:slow")
		time.Sleep(confirmTimeout)
		<-slow
		again := begin("films", "four", "yt:slow")
		refused("slow", "films four") // it is waited for
		<-again
		refused("slow", "films three")
		refused("slow", " ")
		list := begin("lists", "", "yp:many")
		shown(6, "yt", "first", "lists ")
		shown(7, "yt", "second", "lists ")
		if got := <-list; got != "6 first Film first" {
			t.Errorf("added %s", got)
		}
	})
}

// TestNobodyTakesTheEffectOfAnotherForItsOwn has several things done at once, and the server be late.
func TestNobodyTakesTheEffectOfAnotherForItsOwn(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 0), func(r *rig) {
		r.arrive(cytube.Permissions{Ranks: map[string]float64{"playlistadd": 0, "pollctl": 0}})
		first, second := r.act(add("yt:abc")), r.act(add("yt:def"))
		r.expect("one at a time", &r.requested, "queue yt abc true")
		r.arrive(added(1, "yt", "abc"))
		if got := <-first; got != "1 abc Film abc" {
			t.Errorf("added %s", got)
		}
		r.expect("then the other", &r.requested, "queue yt def true")
		r.arrive(cytube.QueueFail{ID: "abc", Message: "of another"}, cytube.QueueFail{ID: "def", Message: "is there"})
		if got := <-second; got != "is there" {
			t.Errorf("added %s", got)
		}

		late := r.act(add("yt:late"))
		time.Sleep(confirmTimeout)
		if got := <-late; got != errUnconfirmed.Error() {
			t.Errorf("not shown in time: %s", got)
		}
		next := r.act(add("yt:next"))
		r.arrive(added(2, "yt", "late"))
		synctest.Wait()
		r.arrive(added(3, "yt", "next"))
		if got := <-next; got != "3 next Film next" {
			t.Errorf("added %s", got)
		}
		again := r.act(add("https://soundcloud.com/a/b")) // of which the server has another ID
		r.arrive(added(4, "sc", "1234"))
		if got := <-again; got != "4 1234 Film 1234" {
			t.Errorf("added %s", got)
		}
		r.take(&r.requested)

		r.arrive(cytube.NewPoll{By: "mod"})
		poll := bus.PluginActRequest{Title: "x", Options: []string{"a"}}
		open, end := r.act(Act{Verb: bus.VerbPollOpen, Request: poll}), r.act(Act{Verb: bus.VerbPollClose})
		r.arrive(cytube.PollClosed{}) // that which was open before
		r.expect("the new poll is not open yet", &r.requested, `open poll x ["a"]`)
		r.arrive(cytube.NewPoll{By: "Rosey"})
		r.expect("now it is", &r.requested, "close poll")
		r.arrive(cytube.PollClosed{})
		if opened, closed := <-open, <-end; opened != "" || closed != "" {
			t.Errorf("opened: %s, closed: %s", opened, closed)
		}

		earlier, later := time.UnixMilli(1000), time.UnixMilli(2000)
		r.arrive(cytube.NewPoll{By: "mod", Opened: earlier})
		open = r.act(Act{Verb: bus.VerbPollOpen, Request: poll})
		r.expect("it has the turn", &r.requested, `open poll x ["a"]`)
		end = r.act(Act{Verb: bus.VerbPollClose, Request: bus.PluginActRequest{Opened: earlier.UnixMilli()}})
		r.arrive(cytube.NewPoll{By: "Rosey", Opened: later})
		if opened, closed := <-open, <-end; opened != "" || closed != "another poll is open by now" {
			t.Errorf("opened: %s, closed: %s", opened, closed)
		}
		end = r.act(Act{Verb: bus.VerbPollClose, Request: bus.PluginActRequest{Opened: later.UnixMilli()}})
		r.expect("the poll that was meant", &r.requested, "close poll")
		r.arrive(cytube.PollClosed{})
		if closed := <-end; closed != "" {
			t.Errorf("closed: %s", closed)
		}
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestAnOverviewIsWhatUsersCanType compares what is told with what is called.
func TestAnOverviewIsWhatUsersCanType(t *testing.T) {
	t.Parallel()
	settings := enabled("!", 0)
	settings.Overrides = map[string]config.CommandOverride{
		"dice.roll": {Name: "throw", Rank: new(2.0), Cooldown: &config.CommandCooldown{UserSeconds: new(5)}},
		"top":       {Disabled: true, Deny: []string{"mallory"}},
	}
	inChannel(t, settings, func(r *rig) {
		r.offer(
			dice(bus.PluginCommand{Name: "roll", Aliases: []string{"r", "seen"}, Usage: "[n]dS", Help: "rolls dice",
				Examples: []string{"roll 2d6", "what else"}}),
			Plugin{Name: "away", Commands: []bus.PluginCommand{{Name: "r", Via: []string{bus.ViaPM}}}})
		all := r.Registry.Overview()
		if all.Prefix != "!" || !all.Chat {
			t.Errorf("the settings are %+v", all)
		}
		find := func(plugin, name string) (found []bus.OfferedCommand) {
			for _, one := range all.Commands {
				if one.Plugin == plugin && one.Name == name {
					found = append(found, one)
				}
			}
			return found
		}
		both := []string{bus.ViaChat, bus.ViaPM}
		throw := find("dice", "throw") // seen is a command of the bot
		if len(throw) != 1 || !slices.Equal(throw[0].Aliases, []string{"r"}) || throw[0].Rank != 2 ||
			!slices.Equal(throw[0].Via, both) || throw[0].Cooldown.UserMS != 5000 {
			t.Errorf("throw is %+v", throw)
		}
		if examples := throw[0].Examples; !slices.Equal(examples, []string{"throw 2d6", "what else"}) {
			t.Errorf("examples of a command with another name: %q", examples)
		}
		r.chatFrom("mod", "!help throw")
		r.expect("said", &r.said, "!throw [n]dS: rolls dice; for example !throw 2d6")
		if away := find("away", "away.r"); len(away) != 1 || away[0].Available || !slices.Equal(away[0].Via, both[1:]) {
			t.Errorf("a command of a plugin that is away is %+v", away)
		}
		if top := find("", "top"); len(top) > 0 {
			t.Errorf("top is disabled and offered: %+v", top)
		}
		if len(all.Overrides) != 2 || all.Overrides[0].Command != "dice.roll" || *all.Overrides[0].UserSeconds != 5 ||
			!all.Overrides[1].Disabled || all.Overrides[1].Deny[0] != "mallory" {
			t.Errorf("overrides are %+v", all.Overrides)
		}
		r.offer(dice(bus.PluginCommand{Name: "flip"}))
		all = r.Registry.Overview()
		if flip := find("dice", "flip"); len(flip) != 1 || !slices.Equal(flip[0].Via, both) {
			t.Errorf("flip is %+v", flip)
		}
	})
}
