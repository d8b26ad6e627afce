package web

import (
	"net/http"

	"rosey.dev/rosey/runtime/bus"
)

func (s *Server) recordPages() []page {
	return []page{{"GET /records", ForReaders, s.serveRecords}}
}

// recordsView is the content of the page of records.
type recordsView struct {
	Problem string
	Zone    int
	bus.RecordsReply
	// People reports whether names are shown.
	People bool
}

func (s *Server) serveRecords(w http.ResponseWriter, r *http.Request) {
	content := recordsView{People: s.allows(ForPeople, r)}
	zone, problem := parseZone(r.URL.Query().Get("zone"))
	content.Zone, content.Problem = zone, problem
	code := http.StatusBadRequest
	if problem == "" {
		err := s.ask(r.Context(), bus.QueryRecords,
			bus.RecordsRequest{Zone: bus.Zone{UTCOffset: zone}, Origin: s.origin()}, &content.RecordsReply)
		content.Problem, code = s.explain(r.Context(), "records", err)
	}
	s.render(w, r, code, "records.html", view{Title: "Records", Data: content})
}
