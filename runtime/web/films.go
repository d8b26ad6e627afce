package web

import (
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"rosey.dev/rosey/runtime/bus"
)

func (s *Server) filmPages() []page {
	return []page{{"GET /films", ForReaders, s.serveFilms}}
}

// filmsView is the content of the page of what was played.
type filmsView struct {
	Problem string
	By      bus.MediaBy
	Person  string
	Items   []bus.MediaItem
	// CountedFromMS is as in bus.MediaReply: only plays since then are counted. 0: all are.
	CountedFromMS int64
	// Tabs are the lists that a reader may choose.
	Tabs  []filmsTab
	Pages pageLinks
}

type filmsTab struct {
	Title   string
	Query   template.URL
	Current bool
}

// filmLists are the lists of the page. That of people is about single persons.
var filmLists = []struct {
	by     bus.MediaBy
	title  string
	access Access
}{
	{bus.MediaPlays, "What was played", ForReaders}, {bus.MediaByItem, "Most played", ForReaders},
	{bus.MediaByUser, "Who queues most", ForPeople},
}

// values returns the query of a list.
func (v filmsView) values(by bus.MediaBy) url.Values {
	values := url.Values{"by": {string(by)}}
	if v.Person != "" && by != bus.MediaByUser {
		values.Set("person", v.Person)
	}
	return values
}

func (s *Server) serveFilms(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	content := filmsView{By: bus.MediaBy(query.Get("by")), Person: strings.TrimSpace(query.Get("person"))}
	if content.By == "" {
		content.By = bus.MediaPlays
	}
	people := s.allows(ForPeople, r)
	if !people && (content.Person != "" || content.By == bus.MediaByUser) {
		s.refuse(ForPeople, w, r)
		return
	}
	for _, list := range filmLists {
		if s.allows(list.access, r) {
			content.Tabs = append(content.Tabs, filmsTab{
				Title: list.title, Query: queryOf(content.values(list.by)), Current: list.by == content.By,
			})
		}
	}
	code := s.fillFilms(r, &content, query.Get("cursor"))
	s.render(w, r, code, "films.html", view{Title: "Films", Data: content})
}

func (s *Server) fillFilms(r *http.Request, content *filmsView, cursor string) (code int) {
	if len(content.Person) > maxPersonBytes {
		content.Problem = "Person: the name is too long."
		return http.StatusBadRequest
	}
	var reply bus.MediaReply
	err := s.ask(r.Context(), bus.QueryMedia, bus.MediaRequest{
		Page: bus.Page{Cursor: cursor}, By: content.By, Username: content.Person, Origin: s.origin(),
	}, &reply)
	content.Problem, code = s.explain(r.Context(), "films", err)
	content.Items, content.CountedFromMS = reply.Items, reply.CountedFromMS
	content.Pages = linkPages("More films", "films", content.values(content.By), "cursor", cursor, reply.Next)
	return code
}
