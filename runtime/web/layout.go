package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"

	"rosey.dev/rosey/runtime/room"
	"rosey.dev/rosey/runtime/status"
)

//go:embed templates
var templateFiles embed.FS

// templates are the pages by the names of their files. Each is layout.html with the blocks of its own file.
type templates map[string]*template.Template

const (
	layoutFile = "layout.html"
	// partFiles match files whose blocks every page may use.
	partFiles = "templates/part_*.html"
)

func parseTemplates() (templates, error) {
	base, err := template.New(layoutFile).Funcs(functions).ParseFS(templateFiles, "templates/"+layoutFile, partFiles)
	if err != nil {
		return nil, fmt.Errorf("parsing the layout: %w", err)
	}
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("listing the pages: %w", err)
	}
	parsed := templates{}
	for _, name := range names {
		short := strings.TrimPrefix(name, "templates/")
		if short == layoutFile || strings.HasPrefix(short, "part_") {
			continue
		}
		one, err := base.Clone()
		if err == nil {
			one, err = one.ParseFS(templateFiles, name)
		}
		if err != nil {
			return nil, fmt.Errorf("parsing the page %s: %w", short, err)
		}
		parsed[short] = one
	}
	return parsed, nil
}

// functions are what templates may call. See format.go and text.go.
var functions = template.FuncMap{
	"asset": assetURL, "day": dayOf, "clock": clockOf, "date": dateOf, "since": sinceOf,
	"number": formatNumber, "span": formatSpan,
	"length": formatLength, "position": room.FormatClock, "rank": room.RankName, "line": chatHTML, "links": linkify,
	"hue": hueOf, "part": pathPart,
	"printable": func(text string) string { return status.OneLine(text, maxShownText) },
	"dayIn":     dayIn, "seconds": func(seconds int64) int64 { return seconds * 1000 }, "zoneName": zoneName,
	"halfHours": halfHours,
	"whoMay":    whoMay, "shortCall": shortCall,
	"stateWord": stateWord, "stateClass": stateClass, "words": wordsOf,
	"pointed": func(number *uint64) string { return formatNumber(*number) },
	"below":   func(root string, content any) view { return view{Root: root, Data: content} },
}

// navEntry is a page in the navigation.
type navEntry struct {
	// Path is relative to the root, without a slash at its beginning. Title is the text of the link.
	Path, Title string
	// Current reports whether it is the page that is shown.
	Current bool
	access  Access
}

// navigation are the pages in the navigation, in order. Those that a reader may not see are left out.
var navigation = []navEntry{
	{Path: "", Title: "Now", access: ForReaders},
	{Path: "chat", Title: "Chat", access: ForReaders},
	{Path: "people", Title: "People", access: ForPeople},
	{Path: "films", Title: "Films", access: ForReaders},
	{Path: "records", Title: "Records", access: ForReaders},
	{Path: "plugins", Title: "Plugins", access: ForReaders},
	{Path: "outbound", Title: "Outbound", access: ForTokens},
	{Path: "health", Title: "Health", access: ForTokens},
}

// view is what the layout shows of a page.
type view struct {
	// Title is the name of the page.
	Title string
	// Wide is for pages that use the whole width.
	Wide bool
	// Data is for the page's own template.
	Data any

	// The other fields are set by render.

	// Root is the relative URL of the root: "./", "../" and so on.
	Root string
	// Nav is the navigation as this reader has it.
	Nav []navEntry
	// Person is who reads. Nil: somebody without a token.
	Person *Person
	// MayLogIn reports whether there are tokens.
	MayLogIn bool
	// Channel and Server are the channel's name and the URL of its server.
	Channel, Server string
	// ProcessPath is Options.ProcessPath below Root. Empty: this reader may not see it, or it is not below Root.
	ProcessPath string
	// Version is that of the program.
	Version string
	// AwayMS is since when the database does not answer, on a page that lacks something because of it. 0: on all others.
	AwayMS int64
}

// rootOf returns the relative URL of the root as seen from the page of a request.
func rootOf(r *http.Request) string {
	depth := strings.Count(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/") // "%2F" is no slash to a browser
	if depth == 0 {
		return "./"
	}
	return strings.Repeat("../", depth)
}

// render writes a page.
func (s *Server) render(w http.ResponseWriter, r *http.Request, code int, name string, content view) {
	content.Root = rootOf(r)
	content.Channel, content.Server = s.options.Channel.Name, s.options.Channel.Server
	content.Version = s.options.Version
	if code == http.StatusServiceUnavailable && r.Method == http.MethodGet {
		content.AwayMS = s.live.databaseAway()
	}
	if s.isAtRoot() && s.allows(ForProcess, r) {
		content.ProcessPath = strings.TrimPrefix(s.options.ProcessPath, "/")
	}
	content.MayLogIn = s.tokens.any()
	if person, known := personOf(r); known {
		content.Person = &person
	}
	path := strings.TrimPrefix(r.URL.Path, "/")
	for _, entry := range navigation {
		entry.Current = path == entry.Path || entry.Path != "" && strings.HasPrefix(path, entry.Path+"/")
		if s.allows(entry.access, r) {
			content.Nav = append(content.Nav, entry)
		}
	}
	body, err := s.execute(name, layoutFile, content)
	if err != nil {
		s.options.Log.ErrorContext(r.Context(), "cannot render a page", "page", name, "error", err)
		http.Error(w, "cannot render the page", http.StatusInternalServerError)
		return
	}
	writeHTML(w, code, body)
}

// execute returns the HTML of a block of a page, printable as a whole.
func (s *Server) execute(name, block string, data any) ([]byte, error) {
	parsed, err := s.templates()
	if err != nil {
		return nil, err
	}
	page, found := parsed[name]
	if !found {
		return nil, fmt.Errorf("no page %s", name)
	}
	var out bytes.Buffer
	if err := page.ExecuteTemplate(&out, block, data); err != nil {
		return nil, fmt.Errorf("rendering %s of %s: %w", block, name, err)
	}
	return status.PrintableLines(out.Bytes()), nil
}
