package process

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/room"
	"rosey.dev/rosey/runtime/status"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// pageTemplate parses the page at the first request: most processes never get one.
var pageTemplate = sync.OnceValues(func() (*template.Template, error) {
	parsed, err := template.New("page").Funcs(template.FuncMap{
		"since": formatSince, "clock": room.FormatClock, "length": formatLength, "percent": percentPlayed,
		"rank":  room.RankName,
		"style": func() template.CSS { return template.CSS(pageCSS) }, //nolint:gosec // a constant of this program
	}).Parse(pageHTML)
	if err != nil {
		return nil, fmt.Errorf("parsing the page: %w", err)
	}
	return parsed, nil
})

// pagePolicy is a Content-Security-Policy that permits the page's own style and nothing else, above all no script. A
// style that somebody injects with a name or a title has another hash.
var pagePolicy = "default-src 'none'; style-src 'sha256-" + sha256Base64(pageCSS) +
	"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func sha256Base64(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (s Server) servePage(w http.ResponseWriter, r *http.Request) {
	parsed, err := pageTemplate()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	content := struct {
		State
		StatePath, StatusPath, MetricsPath, ReadyPath string
	}{s.state(r.Context()), status.StatePath, status.StatusPath, status.MetricsPath, status.ReadyPath}
	var page bytes.Buffer
	if err := parsed.Execute(&page, content); err != nil {
		http.Error(w, "cannot render the page", http.StatusInternalServerError)
		s.Log.ErrorContext(r.Context(), "cannot render the page", "error", err)
		return
	}
	w.Header().Set("Content-Security-Policy", pagePolicy)
	writeResponse(w, http.StatusOK, "text/html; charset=utf-8", status.PrintableLines(page.Bytes()))
}

// formatSince returns the time from then to now in its largest unit, such as "2 hours". The zero time is unknown.
func formatSince(now, then time.Time) string {
	if then.IsZero() {
		return "an unknown time"
	}
	passed := max(0, now.Sub(then))
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		switch count := passed / unit.size; {
		case count == 1:
			return "1 " + unit.name
		case count > 1:
			return fmt.Sprintf("%d %ss", count, unit.name)
		}
	}
	return fmt.Sprintf("%d s", passed/time.Second)
}

func formatLength(p room.Playing) string { return room.FormatClock(float64(p.Seconds)) }

// percentPlayed returns the position as a part of the length, 0 to 100.
func percentPlayed(p room.Playing) int {
	if p.Seconds <= 0 {
		return 0
	}
	return int(min(100, max(0, 100*p.Position/float64(p.Seconds))))
}

// Title returns the title of the page.
func (s State) Title() string {
	var parts []string
	if !s.Ready {
		parts = append(parts, string(s.Reason))
	}
	if s.Channel != nil {
		parts = append(parts, s.Channel.Name)
	}
	return strings.Join(append(parts, "Rosey"), " · ")
}
