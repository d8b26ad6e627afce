package simulator

import (
	"net/http"
	"strings"
)

type socketServer struct {
	URL    string `json:"url"`
	Secure bool   `json:"secure"`
}

// serveSocketConfig returns the URL of a channel's socket server, which is this server.
func (s *Server) serveSocketConfig(w http.ResponseWriter, r *http.Request) {
	if !s.reachable(w, r, clientAddress(r)) {
		return
	}
	name, isJSON := strings.CutSuffix(r.PathValue("file"), ".json")
	if !isJSON {
		http.NotFound(w, r)
		return
	}
	if !validChannelName.MatchString(name) {
		writeJSON(w, http.StatusNotFound, map[string]string{"error": `Channel "` + name + `" does not exist.`})
		return
	}
	base := s.options.PublicURL
	if base == "" {
		base = "http://" + r.Host
		if r.TLS != nil {
			base = "https://" + r.Host
		}
	}
	server := socketServer{URL: strings.TrimSuffix(base, "/"), Secure: strings.HasPrefix(base, "https://")}
	writeJSON(w, http.StatusOK, map[string][]socketServer{"servers": {server}})
}
