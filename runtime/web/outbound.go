package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"rosey.dev/rosey/runtime/bus"
)

func (s *Server) outboundPages() []page {
	return []page{
		{"GET /outbound", ForTokens, s.serveOutbound},
		{"POST /outbound", ForTokens, s.postOutbound},
		{"POST /outbound/cancel", ForTokens, s.postCancel},
	}
}

// outboundView is the content of the page of what the bot is to say.
type outboundView struct {
	Problem string
	// Text is a line that was refused, so that it can be mended.
	Text  string
	State bus.OutboundState
	// States are those by which the list can be filtered.
	States []bus.OutboundState
	Items  []bus.OutboundItem
	Pages  pageLinks
}

// shownStates are the states by which a list can be filtered, in the order in which lines have them.
var shownStates = []bus.OutboundState{
	bus.OutboundWaits, bus.OutboundClaimed, bus.OutboundSaid, bus.OutboundAbandoned, bus.OutboundCancelled,
}

func (s *Server) serveOutbound(w http.ResponseWriter, r *http.Request) {
	s.renderOutbound(w, r, "", "", http.StatusOK)
}

// renderOutbound writes the page, with a problem of what the reader has just done. Empty: there is none.
func (s *Server) renderOutbound(w http.ResponseWriter, r *http.Request, problem, text string, code int) {
	query := r.URL.Query()
	content := outboundView{State: bus.OutboundState(query.Get("state")), States: shownStates, Text: text}
	request := bus.OutboundListRequest{Page: bus.Page{Cursor: query.Get("cursor")}, Origin: s.origin()}
	if content.State != "" {
		request.States = []bus.OutboundState{content.State}
	}
	var reply bus.OutboundListReply
	err := s.ask(r.Context(), bus.QueryOutbound, request, &reply)
	content.Problem = problem
	if message, failed := s.explain(r.Context(), outboundLines, err); problem == "" {
		content.Problem, code = message, failed
	}
	content.Items = reply.Items
	values := url.Values{}
	if content.State != "" {
		values.Set("state", string(content.State))
	}
	content.Pages = linkPages("More lines", "outbound", values, "cursor", request.Cursor, reply.Next)
	s.render(w, r, code, "outbound.html", view{Title: "Outbound", Data: content})
}

func (s *Server) postOutbound(w http.ResponseWriter, r *http.Request) {
	person, _ := personOf(r)
	text := strings.TrimSpace(r.PostFormValue("text"))
	if _, problem, code := s.say(r.Context(), person, text, r.PostFormValue("id")); problem != "" {
		s.renderOutbound(w, r, "The line was not queued. "+problem, text, code)
		return
	}
	redirect(w, rootOf(r)+"outbound")
}

// postCancel takes a line back that waits.
func (s *Server) postCancel(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PostFormValue("id"), 10, 64)
	if err != nil {
		s.fail(w, r, http.StatusBadRequest, "id: expected the number of a line.")
		return
	}
	_, err = s.cancel(r, id)
	if message, code := s.explain(r.Context(), takingBack, err); err != nil {
		s.fail(w, r, code, "The line was not taken back. "+message)
		return
	}
	redirect(w, rootOf(r)+"outbound")
}

// cancel takes a line back in the name of who sends a request.
func (s *Server) cancel(r *http.Request, id int64) (reply bus.OutboundCancelReply, err error) {
	person, _ := personOf(r)
	request := bus.OutboundCancelRequest{ID: id, Asker: person.Name, Origin: s.origin()}
	err = s.ask(r.Context(), bus.OutboundCancel, request, &reply)
	if err == nil {
		s.options.Log.InfoContext(r.Context(), "a line was taken back on a page", "asker", person.Name, "id", id)
	}
	return reply, err
}
