package plugintest

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/plugin"
)

// Person is somebody in a Room.
type Person struct {
	room *Room
	user plugin.User
}

// As returns a person with a name and a rank. They need not have joined.
func (r *Room) As(name string, rank float64) Person {
	return Person{r, plugin.User{Name: name, Rank: rank}}
}

// Joins makes the person join the channel, and Leaves leave it. The plugin gets the event.
func (p Person) Joins() {
	p.room.t.Helper()
	p.room.mu.Lock()
	p.room.people[p.user.Name] = bus.ChannelUser{Name: p.user.Name, Rank: p.user.Rank}
	p.room.mu.Unlock()
	p.room.Event(plugin.UserJoined, map[string]any{"user": p.user.Name, "user_data": p.data()})
}

// Leaves is described at Joins.
func (p Person) Leaves() {
	p.room.t.Helper()
	p.room.mu.Lock()
	delete(p.room.people, p.user.Name)
	p.room.mu.Unlock()
	p.room.Event(plugin.UserLeft, map[string]any{"user": p.user.Name, "user_data": p.data()})
}

// GoesAway marks the person as away from the keyboard. They need to have joined.
func (p Person) GoesAway() {
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	user := p.room.people[p.user.Name]
	user.AFK = true
	p.room.people[p.user.Name] = user
}

// Writes makes the person write a line in the chat that is no command. The plugin gets the event.
func (p Person) Writes(text string) {
	p.room.t.Helper()
	mayCall := p.mayCall()
	fields := map[string]any{
		"user": p.user.Name, "text": text, "content": text, "user_data": p.data(), "may_call": mayCall, "cooldowns": mayCall,
	}
	if p.user.Name == BotName {
		fields["own"] = true
	}
	p.room.Event(plugin.Message, fields)
}

// data returns what events say about the person.
func (p Person) data() map[string]any {
	return map[string]any{"username": p.user.Name, "rank": p.user.Rank}
}

// mayCall returns the commands as which the plugin may take a line of the person.
func (p Person) mayCall() []string {
	mayCall := []string{}
	for _, command := range p.room.plugin.Commands() {
		if _, why := p.find(command.Name, bus.ViaChat); command.Lines && why == "" && p.user.Name != BotName {
			mayCall = append(mayCall, p.room.subjects.Name+"."+command.Name)
		}
	}
	return mayCall
}

// Event sends an event of the feed to the plugin, with the fields of its payload.
func (r *Room) Event(name string, fields map[string]any) {
	r.t.Helper()
	payload := map[string]any{
		"event": name, "server": ServerURL, "channel": ChannelName, "timestamp": r.clock.Now().Unix(),
	}
	maps.Copy(payload, fields)
	data, err := json.Marshal(payload)
	if err == nil {
		err = r.conn.NATS().Publish(r.all.Subject(bus.FeedEvents(ChannelName, name)), data)
	}
	if err != nil {
		r.t.Errorf("the event %s: %v", name, err) // not Fatalf: the room also sends events while it answers the plugin
		return
	}
	if r.plugin != nil && slices.Contains(r.plugin.Events(), name) {
		r.mu.Lock()
		r.sent++
		r.mu.Unlock()
	}
}

// Settle waits until the plugin has handled the events that it was sent. So nothing that it does because of them comes
// later.
func (r *Room) Settle() {
	r.t.Helper()
	end := time.Now().Add(waitTimeout)
	for r.handled() < r.countSent() {
		if time.Now().After(end) {
			r.t.Fatalf("the plugin has handled %d of %d events", r.handled(), r.countSent())
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func (r *Room) countSent() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sent
}

// handled returns how many events the plugin has handled, also those for which it failed.
func (r *Room) handled() (count int) {
	r.t.Helper()
	return r.sum("rosey_plugin_events_total", "")
}

// Counted returns what the plugin has counted of something that it has declared by Counter.
func (r *Room) Counted(what string) int {
	r.t.Helper()
	return r.sum("rosey_plugin_counted_total", what)
}

// sum returns the sum of the series of a counter that have a label of a value. Empty: of all.
func (r *Room) sum(counter, label string) (sum int) {
	r.t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		r.t.Fatalf("reading the metrics of the plugin: %v", err)
	}
	for _, family := range families {
		if family.GetName() != counter {
			continue
		}
		for _, series := range family.GetMetric() {
			for _, pair := range series.GetLabel() {
				if label == "" || pair.GetValue() == label {
					sum += int(series.GetCounter().GetValue())
					break
				}
			}
		}
	}
	return sum
}

// Says gives a command in the chat, with the prefix "!", and waits for the answer.
func (p Person) Says(line string) *Answer {
	p.room.t.Helper()
	return p.call(line, bus.ViaChat)
}

// Whispers gives a command by private message, with the prefix "!", and waits for the answer.
func (p Person) Whispers(line string) *Answer {
	p.room.t.Helper()
	return p.call(line, bus.ViaPM)
}

// Answer is what became of a command.
type Answer struct {
	t    T
	line string
	// Lines are the answer, and To where it goes.
	Lines []string
	To    plugin.Via
	// Refused is why the bot did not call the plugin: there is no such command, or the rank is too low. Empty: it did.
	Refused string
	// Wrong is the text of a UsageError, and Failed of another error. Empty: there was none.
	Wrong, Failed string
	// Cooldown is whether the call counts for the cooldown.
	Cooldown bool
}

// callTimeout is how long a call may take, in real time.
const callTimeout = 10 * time.Second

func (p Person) call(line, via string) *Answer {
	p.room.t.Helper()
	answer := &Answer{t: p.room.t, line: line}
	typed, hasPrefix := strings.CutPrefix(line, plugin.ExamplePrefix)
	name, args, _ := strings.Cut(typed, " ")
	command, why := p.find(strings.ToLower(name), via)
	switch {
	case !hasPrefix:
		answer.Refused = "the bot calls a plugin for lines that begin with " + plugin.ExamplePrefix
		return answer
	case why != "":
		answer.Refused = why
		return answer
	}
	r := p.room
	r.mu.Lock()
	r.calls++
	id := fmt.Sprintf("call-%d", r.calls)
	r.mu.Unlock()
	body, err := bus.Encode(bus.PluginCall{
		ID: id, Via: via, User: bus.PluginUser(p.user), Command: command.Name, Args: strings.TrimSpace(args), Text: line,
	})
	if err != nil {
		r.t.Fatalf("encoding a call: %v", err)
	}
	request := &nats.Msg{Subject: r.subjects.Call(command.Name), Data: body, Header: nats.Header{
		bus.DeadlineHeader: {strconv.Itoa(int(callTimeout.Milliseconds()))},
	}}
	if err := r.own.NATS().Flush(); err != nil { // a bot looks at what was declared before it calls it
		r.t.Fatalf("waiting for what the plugin has declared: %v", err)
	}
	reply, err := r.conn.NATS().RequestMsg(request, callTimeout)
	if err != nil {
		answer.Failed = err.Error()
		return answer
	}
	answer.read(reply, plugin.Via(via))
	return answer
}

// find returns the command of a name or an alias, or why it may not be called.
func (p Person) find(name, via string) (plugin.Command, string) {
	for _, command := range p.room.plugin.Commands() {
		if command.Name != name && !slices.Contains(command.Aliases, name) {
			continue
		}
		if p.user.Rank < command.Rank {
			return command, fmt.Sprintf("the rank is %v, and the command needs %v", p.user.Rank, command.Rank)
		}
		if len(command.Via) > 0 && !slices.Contains(command.Via, plugin.Via(via)) {
			return command, "not via " + via
		}
		return command, ""
	}
	return plugin.Command{}, fmt.Sprintf("there is no command %q", name)
}

func (a *Answer) read(reply *nats.Msg, via plugin.Via) {
	description := reply.Header.Get(micro.ErrorHeader)
	switch code := reply.Header.Get(micro.ErrorCodeHeader); {
	case code == bus.CodeUsage:
		a.Wrong = description
		return
	case code != "":
		a.Failed = code + ": " + description
		return
	}
	var body bus.PluginReply
	if err := json.Unmarshal(reply.Data, &body); err != nil {
		a.Failed = err.Error()
		return
	}
	a.Lines, a.To, a.Cooldown = body.Lines, via, body.Cooldown == nil || *body.Cooldown
	if body.To != "" {
		a.To = plugin.Via(body.To)
	}
}

// Text returns the lines of the answer, joined by line feeds.
func (a *Answer) Text() string { return strings.Join(a.Lines, "\n") }

// Expects fails the test unless the call was answered, and the lines, joined by line feeds, match a regular expression.
func (a *Answer) Expects(pattern string) *Answer {
	a.t.Helper()
	if problem := a.problem(); problem != "" || !matches(pattern, a.Text()) {
		a.t.Errorf("%s: answered %q%s, want a match for %q", a.line, a.Text(), problem, pattern)
	}
	return a
}

// ExpectsNothing fails the test unless the call succeeded without an answer.
func (a *Answer) ExpectsNothing() *Answer {
	a.t.Helper()
	if problem := a.problem(); problem != "" || len(a.Lines) > 0 {
		a.t.Errorf("%s: answered %q%s, want nothing", a.line, a.Text(), problem)
	}
	return a
}

// Privately fails the test unless the answer goes to the person alone.
func (a *Answer) Privately() *Answer {
	a.t.Helper()
	if a.To != plugin.PM {
		a.t.Errorf("%s: the answer goes to %q, want %q", a.line, a.To, plugin.PM)
	}
	return a
}

// ExpectsWrong fails the test unless the call failed with a UsageError that matches a regular expression.
func (a *Answer) ExpectsWrong(pattern string) *Answer {
	a.t.Helper()
	if a.Wrong == "" || !matches(pattern, a.Wrong) {
		a.t.Errorf("%s: answered %q%s, want a usage error that matches %q", a.line, a.Text(), a.problem(), pattern)
	}
	return a
}

// ExpectsRefused fails the test unless the bot did not even call the plugin, for example because of a rank.
func (a *Answer) ExpectsRefused() *Answer {
	a.t.Helper()
	if a.Refused == "" {
		a.t.Errorf("%s: answered %q%s, want that it is refused", a.line, a.Text(), a.problem())
	}
	return a
}

// ExpectsFailed fails the test unless the call failed with an error that is not about the arguments.
func (a *Answer) ExpectsFailed(pattern string) *Answer {
	a.t.Helper()
	if a.Failed == "" || !matches(pattern, a.Failed) {
		a.t.Errorf("%s: answered %q%s, want an error that matches %q", a.line, a.Text(), a.problem(), pattern)
	}
	return a
}

// problem describes why there is no answer. Empty: there is one.
func (a *Answer) problem() string {
	switch {
	case a.Refused != "":
		return ", refused: " + a.Refused
	case a.Wrong != "":
		return ", usage error: " + a.Wrong
	case a.Failed != "":
		return ", failed: " + a.Failed
	}
	return ""
}

func matches(pattern, text string) bool {
	compiled, err := regexp.Compile(pattern)
	return err == nil && compiled.MatchString(text)
}

// Hears waits until the plugin says a line in the chat that matches a regular expression, after the one that Hears
// found before, and returns it.
func (r *Room) Hears(pattern string) Line {
	r.t.Helper()
	return r.wait(pattern, func(line Line) bool { return line.To == "" && matches(pattern, line.Text) })
}

// HearsPrivately is Hears for a line to one person.
func (r *Room) HearsPrivately(user, pattern string) Line {
	r.t.Helper()
	return r.wait(pattern, func(line Line) bool { return line.To == user && matches(pattern, line.Text) })
}

func (r *Room) wait(pattern string, isMeant func(Line) bool) Line {
	r.t.Helper()
	timeout := time.NewTimer(waitTimeout)
	defer timeout.Stop()
	for {
		r.mu.Lock()
		for ; r.heard < len(r.lines); r.heard++ {
			if line := r.lines[r.heard]; isMeant(line) {
				r.heard++
				r.mu.Unlock()
				return line
			}
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-timeout.C:
			r.t.Fatalf("no line matches %q, the plugin said %v", pattern, r.Lines())
			return Line{}
		}
	}
}

// Silent fails the test if the plugin has said a line that Hears has not passed. Lines that the plugin says because of
// an event may come later: end the test with something that follows them.
func (r *Room) Silent() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if rest := r.lines[r.heard:]; len(rest) > 0 {
		r.t.Errorf("the plugin said %v, want nothing", rest)
	}
}
