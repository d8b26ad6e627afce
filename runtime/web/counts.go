package web

import (
	"context"
	"net/http"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

func (s *Server) countPages() []page {
	return []page{
		{"GET /now/counts", ForReaders, s.serveCounts},
		{"GET /now/counts.json", ForReaders, s.serveCountsChart},
	}
}

// chart is a time series as rosey.js draws it.
type chart struct {
	// X are the times in Unix seconds, and each series has a value for each of them.
	X      []int64  `json:"x"`
	Series []series `json:"series"`
	Marks  []mark   `json:"marks,omitempty"`
}

type series struct {
	Label  string `json:"label"`
	Values []int  `json:"values"`
	// Kind is "line" or "bars".
	Kind string `json:"kind"`
}

// mark is a moment that a chart marks.
type mark struct {
	At    int64  `json:"at"` // Unix seconds
	Label string `json:"label"`
	// Kind is "film" or "join".
	Kind string `json:"kind"`
}

const (
	// countsSpan is how much of the past the chart of people shows.
	countsSpan = 24 * time.Hour
	// maxMarks bounds the films that a chart marks.
	maxMarks = 40
)

// counts returns how many people there were in the last day, and, for those who may read about single persons, who came
// and went.
func (s *Server) counts(r *http.Request, points int) (reply bus.UserCountsReply, err error) {
	request := bus.UserCountsRequest{Origin: s.origin(), Points: points, Joins: s.allows(ForPeople, r)}
	request.From.Time = time.Now().Add(-countsSpan)
	err = s.ask(r.Context(), bus.QueryUserCounts, request, &reply)
	return reply, err
}

func (s *Server) serveCountsChart(w http.ResponseWriter, r *http.Request) {
	reply, err := s.counts(r, 290) // steps of five minutes
	if message, code := s.explain(r.Context(), peopleOverTime, err); err != nil {
		s.fail(w, r, code, message)
		return
	}
	shown := chart{Series: []series{{Label: "people", Kind: "line"}, {Label: "connections", Kind: "line"}}}
	for _, point := range reply.Items {
		shown.X = append(shown.X, point.AtMS/1000)
		shown.Series[0].Values = append(shown.Series[0].Values, point.Chat)
		shown.Series[1].Values = append(shown.Series[1].Values, point.Connected)
	}
	if len(shown.X) > 0 {
		shown.Marks = append(s.filmMarks(r.Context(), shown.X[0]), joinMarks(reply.Joins)...)
	}
	writeJSON(w, http.StatusOK, shown)
}

// filmMarks returns when films began. A chart without them is of use too.
func (s *Server) filmMarks(ctx context.Context, from int64) (marks []mark) {
	var reply bus.MediaReply
	request := bus.MediaRequest{Page: bus.Page{Limit: maxMarks}, Origin: s.origin()}
	request.From.Time = time.Unix(from, 0)
	if err := s.ask(ctx, bus.QueryMedia, request, &reply); err != nil {
		s.logUnexpected(ctx, "films in a chart", err)
		return nil
	}
	for _, item := range reply.Items {
		if item.Seconds == 0 || item.Seconds >= minMarked {
			marks = append(marks, mark{
				At: item.AtMS / 1000, Label: status.OneLine(item.Title, maxShownText), Kind: "film",
			})
		}
	}
	return marks
}

// joinMarks returns when people came.
func joinMarks(joins []bus.JoinItem) (marks []mark) {
	for _, item := range joins {
		if item.Joined {
			marks = append(marks, mark{
				At: item.AtMS / 1000, Label: status.OneLine(item.Username, maxShownText), Kind: "join",
			})
		}
	}
	return marks
}

// minMarked is the length in seconds of the shortest item that a chart marks. Marks of clips would hide the chart.
const minMarked = 15 * 60

// countsView is the content of the table beside the chart.
type countsView struct {
	Problem string
	Items   []bus.UserCountPoint // the newest first
	Joins   []bus.JoinItem       // the newest first
}

func (s *Server) serveCounts(w http.ResponseWriter, r *http.Request) {
	var content countsView
	reply, err := s.counts(r, 50) // steps of half an hour
	message, code := s.explain(r.Context(), peopleOverTime, err)
	content.Problem, content.Items, content.Joins = message, reply.Items, reply.Joins
	slices.Reverse(content.Items)
	slices.Reverse(content.Joins)
	s.render(w, r, code, "counts.html", view{Title: "People over the last day", Data: content})
}
