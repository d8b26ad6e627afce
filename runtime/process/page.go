package process

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/status"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// pageTemplate is parsed when somebody looks: most processes are never looked at. Names and titles are
// other people's words, which html/template escapes where they stand.
var pageTemplate = sync.OnceValues(func() (*template.Template, error) {
	parsed, err := template.New("page").Funcs(template.FuncMap{
		"since": since, "clock": clock, "percent": percent, "rank": rankInWords,
		"style": func() template.CSS { return template.CSS(pageCSS) }, //nolint:gosec // our own file
	}).Parse(pageHTML)
	if err != nil {
		return nil, fmt.Errorf("reading the page: %w", err)
	}
	return parsed, nil
})

// pagePolicy lets the page have its own style and nothing else, no script above all. A style sheet that a
// name or a title smuggled in has another hash.
var pagePolicy = "default-src 'none'; style-src 'sha256-" + hashOf(pageCSS) +
	"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (s Server) page(w http.ResponseWriter, r *http.Request) {
	parsed, err := pageTemplate()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	content := struct {
		State
		StatePath, StatusPath, MetricsPath, ReadyPath string
	}{s.look(r.Context()), status.StatePath, status.StatusPath, status.MetricsPath, status.ReadyPath}
	var page bytes.Buffer
	if err := parsed.Execute(&page, content); err != nil {
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)
		s.Log.Error("making the page", "error", err)
		return
	}
	w.Header().Set("Content-Security-Policy", pagePolicy)
	answer(w, http.StatusOK, "text/html; charset=utf-8", page.Bytes())
}

// since is how long ago something was, in one unit: the page is made anew all the time.
func since(now, then time.Time) string {
	passed := max(0, now.Sub(then))
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if count := int(passed / unit.size); count == 1 {
			return "1 " + unit.name
		} else if count > 1 {
			return strconv.Itoa(count) + " " + unit.name + "s"
		}
	}
	return strconv.Itoa(int(passed/time.Second)) + " s"
}

// clock is a length as players show it.
func clock(seconds float64) string {
	all := int(max(0, seconds))
	text := fmt.Sprintf("%d:%02d", all/60%60, all%60)
	if hours := all / 3600; hours > 0 {
		text = fmt.Sprintf("%d:%02d:%02d", hours, all/60%60, all%60)
	}
	return text
}

// percent is how far what plays has come.
func percent(p Playing) int {
	if p.Seconds <= 0 {
		return 0
	}
	return int(min(100, max(0, 100*p.Position/float64(p.Seconds))))
}

// rankInWords calls a rank as CyTube does.
func rankInWords(rank float64) string {
	words := []struct {
		least float64
		word  string
	}{{255, "site admin"}, {5, "founder"}, {4, "owner"}, {3, "admin"}, {2, "moderator"}, {1.5, "leader"}}
	for _, each := range words {
		if rank >= each.least {
			return each.word
		}
	}
	return ""
}

// Title is what a browser's tab shows.
func (s State) Title() string {
	parts := []string{"Rosey"}
	if s.Channel != nil {
		parts = append([]string{s.Channel.Name}, parts...)
	}
	if !s.Ready {
		parts = append([]string{string(s.Reason)}, parts...)
	}
	return strings.Join(parts, " · ")
}
