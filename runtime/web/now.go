package web

import "net/http"

func (s *Server) nowPages() []page {
	return []page{{"GET /{$}", ForReaders, s.serveNow}}
}

func (s *Server) serveNow(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "now.html", view{Title: "Now", Wide: true})
}
