package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

func (s *Server) healthPages() []page {
	return []page{
		{"GET /health", ForTokens, s.serveHealth},
		{"POST /health/dead", ForTokens, s.postDead},
	}
}

// healthView is the content of the page of what the processes need and have.
type healthView struct {
	// Problem is why the processes cannot be shown.
	Problem   string
	Processes []bus.ProcessStatus
	// DeadProblem is why dead letters cannot be shown or changed.
	DeadProblem string
	Dead        []deadLetter
	Pages       pageLinks
}

// deadLetter is a message that could not be stored. Payload is its beginning.
type deadLetter struct{ bus.DeadLetter }

// maxShownPayload bounds the part of a payload that is shown, in characters.
const maxShownPayload = 500

// Beginning returns the part of the payload that is shown.
func (d deadLetter) Beginning() string { return status.OneLine(d.Payload, maxShownPayload) }

func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request) {
	s.renderHealth(w, r, "", http.StatusOK)
}

// renderHealth writes the page, with a problem of what the reader has just done. Empty: there is none.
func (s *Server) renderHealth(w http.ResponseWriter, r *http.Request, problem string, code int) {
	var content healthView
	processes, err := s.requests.Processes(r.Context())
	if content.Problem, _ = s.explain(r.Context(), "the processes", err); errors.Is(err, bus.ErrNoService) {
		content.Problem = "No process replies: neither bot nor database service is connected to the message bus (NATS)."
	}
	slices.SortFunc(processes, func(a, b bus.ProcessStatus) int {
		return strings.Compare(string(a.Report.Component)+a.Instance, string(b.Report.Component)+b.Instance)
	})
	content.Processes = processes
	after := r.URL.Query().Get("after")
	reply, deadProblem, deadCode := s.deadLetters(r.Context(), after)
	content.fillDead(reply, deadProblem, after)
	if deadCode == http.StatusBadRequest && code == http.StatusOK {
		code = deadCode
	}
	if problem != "" {
		content.DeadProblem = problem
	}
	s.render(w, r, code, "health.html", view{Title: "Health", Data: content})
}

// shownDeadLetters is how many dead letters a page has.
const shownDeadLetters = 20

// deadLetters returns the dead letters of the channel behind the one with an ID: whoever has a token here need not
// know, and must not drop, what was said in other channels that share the database.
func (s *Server) deadLetters(ctx context.Context, after string) (
	reply bus.DeadListReply, problem string, code int,
) {
	request := bus.DeadListRequest{Limit: shownDeadLetters, Origin: s.origin()}
	if after != "" {
		id, err := strconv.ParseInt(after, 10, 64)
		if err != nil || id < 0 {
			return reply, "after: expected the number of a dead letter.", http.StatusBadRequest
		}
		request.After = id
	}
	err := s.ask(ctx, bus.DeadList, request, &reply)
	problem, code = s.explain(ctx, "dead letters", err)
	return reply, problem, code
}

func (v *healthView) fillDead(reply bus.DeadListReply, problem, after string) {
	v.DeadProblem = problem
	for _, one := range reply.DeadLetters {
		v.Dead = append(v.Dead, deadLetter{one})
	}
	next := ""
	if reply.More {
		next = strconv.FormatInt(reply.Next, 10)
	}
	v.Pages = linkPages("More dead letters", "health", url.Values{}, "after", after, next)
}

// postDead stores a dead letter again, or drops it.
func (s *Server) postDead(w http.ResponseWriter, r *http.Request) {
	person, _ := personOf(r)
	id, err := strconv.ParseInt(r.PostFormValue("id"), 10, 64)
	suffix, known := map[string]bus.Suffix{"retry": bus.DeadRetry, "drop": bus.DeadDrop}[r.PostFormValue("do")]
	if err != nil || !known {
		s.fail(w, r, http.StatusBadRequest, "id and do: expected the number of a dead letter, and retry or drop.")
		return
	}
	var reply bus.DeadChangeReply
	err = s.ask(r.Context(), suffix, bus.DeadChangeRequest{IDs: []int64{id}, Origin: s.origin()}, &reply)
	problem, code := s.explain(r.Context(), "changing a dead letter", err)
	if len(reply.Failed) > 0 {
		problem, code = status.OneLine(reply.Failed[0].Error, maxMessage), http.StatusConflict
	}
	if problem != "" {
		s.renderHealth(w, r, "Nothing was changed about the dead letter "+strconv.FormatInt(id, 10)+": "+problem, code)
		return
	}
	s.options.Log.InfoContext(r.Context(), "a dead letter was changed on a page", "asker", person.Name, "id", id,
		"request", string(suffix))
	redirect(w, rootOf(r)+"health")
}
