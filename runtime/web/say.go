package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

func (s *Server) sayPages() []page {
	return []page{
		{"POST /say", ForTokens, s.postSay},
		{"GET /mine", ForTokens, s.serveMine},
	}
}

// mineView is what has become of a person's own lines.
type mineView struct {
	Items []bus.OutboundItem
	// Problem is why a line was not queued, or why the states cannot be shown. Text is the line that was refused,
	// so that it can be mended.
	Problem, Text string
	// Moving reports whether the state of a line is going to change.
	Moving bool
}

const (
	// mineAge is how old a line may be, and maxMine how many of them are shown.
	mineAge = 30 * time.Minute
	maxMine = 5
)

// mine returns what has become of a person's newest lines.
func (s *Server) mine(ctx context.Context, person Person) (content mineView) {
	var reply bus.OutboundListReply
	err := s.ask(ctx, bus.QueryOutbound, bus.OutboundListRequest{Origin: s.origin()}, &reply)
	content.Problem, _ = s.explain(ctx, outboundLines, err)
	oldest := time.Now().Add(-mineAge).UnixMilli()
	for _, item := range reply.Items {
		if item.Asker != person.Name || item.QueuedMS < oldest || len(content.Items) >= maxMine {
			continue
		}
		content.Items = append(content.Items, item)
		content.Moving = content.Moving || item.State == bus.OutboundWaits || item.State == bus.OutboundClaimed
	}
	slices.Reverse(content.Items)
	return content
}

// stateWords are the states of a line as people call them, with the class of the tag.
var stateWords = map[bus.OutboundState][2]string{
	bus.OutboundWaits: {"waits", "warn"}, bus.OutboundClaimed: {"is being said", "warn"},
	bus.OutboundSaid: {"was said", "good"}, bus.OutboundAbandoned: {"failed", "bad"},
	bus.OutboundCancelled: {"taken back", ""},
}

func stateWord(state bus.OutboundState) string {
	return cmp.Or(stateWords[state][0], status.OneLine(string(state), maxShownText))
}
func stateClass(state bus.OutboundState) string { return stateWords[state][1] }

func (s *Server) serveMine(w http.ResponseWriter, r *http.Request) {
	person, _ := personOf(r)
	s.renderMine(w, r, http.StatusOK, s.mine(r.Context(), person))
}

func (s *Server) renderMine(w http.ResponseWriter, r *http.Request, code int, content mineView) {
	body, err := s.execute(nowFile, "mine", view{Root: rootOf(r), Data: content})
	if err != nil {
		s.options.Log.ErrorContext(r.Context(), "cannot render a part of a page", "part", "mine", "error", err)
		http.Error(w, "cannot render the lines", http.StatusInternalServerError)
		return
	}
	writeHTML(w, code, body)
}

// postSay queues a line. A script gets the list of the person's lines, a plain form goes back to the page.
func (s *Server) postSay(w http.ResponseWriter, r *http.Request) {
	person, _ := personOf(r)
	text := strings.TrimSpace(r.PostFormValue("text"))
	_, problem, code := s.say(r.Context(), person, text, r.PostFormValue("id"))
	if r.Header.Get("HX-Request") == "" {
		if problem != "" {
			s.fail(w, r, code, "The line was not sent. "+problem)
			return
		}
		redirect(w, rootOf(r))
		return
	}
	content := s.mine(r.Context(), person)
	if problem != "" {
		content.Problem, content.Text = problem, text
	}
	// htmx shows the answer to a request that succeeded alone, and what is wrong is to be seen.
	s.renderMine(w, r, http.StatusOK, content)
}

// saysBy returns the request by which a person's text is queued, or why it is not.
func saysBy(text string, person Person) (suffix bus.Suffix, problem string, code int) {
	isCommand := bus.ContainsCommand(text)
	switch {
	case text == "":
		return "", "Write something first.", http.StatusBadRequest
	case len(text) > bus.MaxOutboundBytes || !utf8.ValidString(text):
		return "", "The line is too long.", http.StatusBadRequest
	case isCommand && !person.Commands:
		return "", "Your token is for lines, not for commands: a line may not begin with “/”.", http.StatusForbidden
	case isCommand && (!strings.HasPrefix(text, "/") || bus.ContainsLineBreak(text)):
		return "", "A command is one line that begins with “/”.", http.StatusBadRequest
	case isCommand:
		return bus.OutboundPutCommand, "", http.StatusOK
	}
	return bus.OutboundPut, "", http.StatusOK
}

// say queues a line in the name of a person. clientID makes a repetition harmless; empty: a new line. The problem
// is for the person, with the code of the response.
func (s *Server) say(ctx context.Context, person Person, text, clientID string) (id int64, problem string, code int) {
	suffix, problem, code := saysBy(text, person)
	if problem != "" {
		return 0, problem, code
	}
	if clientID == "" || len(clientID) > maxClientID {
		clientID = rand.Text()
	}
	request := bus.OutboundPutRequest{
		Message: text, ClientID: "web/" + person.Name + "/" + clientID, Asker: person.Name, Origin: s.origin(),
	}
	var reply bus.OutboundPutReply
	err := s.ask(ctx, suffix, request, &reply)
	problem, code = s.explain(ctx, "saying a line", err)
	if err == nil {
		s.options.Log.InfoContext(ctx, "a line was queued on a page", "asker", person.Name, "id", reply.ID)
	}
	return reply.ID, problem, code
}

// maxClientID bounds the ID that a client chooses for its line.
const maxClientID = 64
