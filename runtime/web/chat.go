package web

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

func (s *Server) chatPages() []page {
	return []page{
		{"GET /chat", ForReaders, s.serveChat},
		{"GET /chat/download", ForReaders, s.serveChatDownload},
	}
}

// chatFilter is what a reader asks for: the query of the URL.
type chatFilter struct {
	// Day is a day of the reader's zone, 2006-01-02, Zone the zone as minutes ahead of UTC.
	Day  string
	Zone int
	// Person and Words select lines.
	Person, Words string
	// From is a moment in milliseconds since 1970 UTC, which the page begins with: a permalink.
	From int64
	// Cursor is the place in the list.
	Cursor string
}

// parseChatFilter returns what is asked for, and what is wrong with it.
func parseChatFilter(query url.Values) (filter chatFilter, problem string) {
	filter = chatFilter{
		Day: query.Get("day"), Person: strings.TrimSpace(query.Get("person")), Words: strings.TrimSpace(query.Get("words")),
		Cursor: query.Get("cursor"),
	}
	if filter.Zone, problem = parseZone(query.Get("zone")); problem != "" {
		return filter, problem
	}
	from, isTime := numberIn(query.Get("from"), 0, maxMillis)
	filter.From = from
	switch {
	case !isTime:
		return filter, "from: expected a time in milliseconds since 1970."
	case filter.Day != "" && filter.dayStart().IsZero():
		return filter, "Day: expected a day such as 2026-11-30."
	case len(filter.Person) > maxPersonBytes:
		return filter, "Person: the name is too long."
	case len(filter.Words) > bus.MaxWordsBytes:
		return filter, "Words: expected at most " + strconv.Itoa(bus.MaxWordsBytes) + " characters."
	}
	return filter, ""
}

const (
	// maxPersonBytes is more than any name on CyTube has.
	maxPersonBytes = 512
	// maxMillis is the end of the year 9999.
	maxMillis = 253402300799000
)

// numberIn returns a whole number of a query. An absent one is 0.
func numberIn(text string, lowest, highest int64) (number int64, ok bool) {
	if text == "" {
		return 0, true
	}
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number < lowest || number > highest {
		return 0, false
	}
	return number, true
}

// dayStart returns when the day begins, and zero if it is none.
func (f chatFilter) dayStart() time.Time {
	start, err := time.ParseInLocation("2006-01-02", f.Day, time.FixedZone("", f.Zone*60))
	if err != nil || start.Year() < 1971 || start.Year() > 9998 {
		return time.Time{}
	}
	return start
}

// request returns the request for lines.
func (f chatFilter) request(origin bus.Origin) bus.ChatRequest {
	request := bus.ChatRequest{
		Page: bus.Page{Limit: chatPageLines, Cursor: f.Cursor}, Order: bus.Descending,
		Username: f.Person, Words: f.Words, Origin: origin,
	}
	if start := f.dayStart(); f.Day != "" && !start.IsZero() {
		request.Order = bus.Ascending
		request.From.Time, request.To.Time = start, start.AddDate(0, 0, 1)
	}
	if f.From > 0 {
		request.Order = bus.Ascending
		request.From.Time = time.UnixMilli(f.From)
	}
	return request
}

// chatPageLines is how many lines a page has.
const chatPageLines = 100

// values returns the filter as the query of a URL, with another cursor.
func (f chatFilter) values(cursor string) template.URL {
	values := url.Values{}
	for name, value := range map[string]string{"day": f.Day, "person": f.Person, "words": f.Words, "cursor": cursor} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if f.Zone != 0 {
		values.Set("zone", strconv.Itoa(f.Zone))
	}
	if f.From > 0 {
		values.Set("from", strconv.FormatInt(f.From, 10))
	}
	return queryOf(values)
}

// chatView is the content of the page.
type chatView struct {
	chatFilter
	Problem string
	Lines   []chatLine
	// Older and Newer are the queries of the other pages. Empty: there is none.
	Older, Newer template.URL
	// Searched is the time up to which a search has read that ended early. 0: it has read everything.
	Searched int64
	// Download is the query for all pages.
	Download template.URL
	// People reports whether the reader may ask for one person's lines.
	People bool
}

func (s *Server) serveChat(w http.ResponseWriter, r *http.Request) {
	filter, problem := parseChatFilter(r.URL.Query())
	people := s.allows(ForPeople, r)
	if filter.Person != "" && !people {
		s.refuse(ForPeople, w, r)
		return
	}
	content, code := chatView{
		chatFilter: filter, Problem: problem, Download: filter.values(""), People: people,
	}, http.StatusBadRequest
	if problem == "" {
		code = s.fillChat(r, &content)
	}
	s.render(w, r, code, "chat.html", view{Title: "Chat", Data: content})
}

func (s *Server) fillChat(r *http.Request, content *chatView) (code int) {
	request := content.request(s.origin())
	var reply bus.ChatReply
	err := s.ask(r.Context(), bus.QueryChat, request, &reply)
	s.logUnexpected(r.Context(), "chat", err)
	if content.Problem, code = explain(err); err != nil {
		return code
	}
	var next, previous template.URL
	if reply.Next != "" {
		next = content.values(reply.Next)
	}
	if reply.Previous != "" {
		previous = content.values(reply.Previous)
	}
	content.Lines = linesOf(reply.Items)
	content.Older, content.Newer = next, previous
	if request.Order == bus.Ascending {
		slices.Reverse(content.Lines)
		content.Older, content.Newer = previous, next
	}
	if next != "" && len(reply.Items) < chatPageLines && content.Words != "" {
		content.Searched = reply.ReadToMS
	}
	return code
}

const (
	// maxDownloadPages bounds a download: each page is a request. The rest is said at its end.
	maxDownloadPages = 400
	// downloadTime bounds a download in time.
	downloadTime = 2 * time.Minute
)

// serveChatDownload streams the lines of a filter, the oldest first: as JSON Lines, or as text.
func (s *Server) serveChatDownload(w http.ResponseWriter, r *http.Request) {
	filter, problem := parseChatFilter(r.URL.Query())
	if filter.Person != "" && !s.allows(ForPeople, r) {
		s.refuse(ForPeople, w, r)
		return
	}
	format := r.URL.Query().Get("format")
	if format != "jsonl" && format != "text" {
		problem = "format: expected jsonl or text."
	}
	if problem != "" {
		s.fail(w, r, http.StatusBadRequest, problem)
		return
	}
	if !s.downloads.TryAcquire(1) {
		s.fail(w, r, http.StatusServiceUnavailable, "Others are downloading at the moment. Try again soon.")
		return
	}
	defer s.downloads.Release(1)
	filter.Cursor = ""
	download := chatDownload{server: s, w: w, format: format, request: filter.request(s.origin())}
	download.request.Order, download.request.Limit = bus.Ascending, bus.MaxQueryLimit
	download.run(r)
}

// chatDownload writes lines page by page.
type chatDownload struct {
	server  *Server
	w       http.ResponseWriter
	format  string
	request bus.ChatRequest
	started bool
}

func (d *chatDownload) run(r *http.Request) {
	control := http.NewResponseController(d.w)
	_ = control.SetWriteDeadline(time.Now().Add(downloadTime))
	for range maxDownloadPages {
		var reply bus.ChatReply
		if err := d.server.ask(r.Context(), bus.QueryChat, d.request, &reply); err != nil {
			message, code := explain(err)
			if !d.started {
				d.server.fail(d.w, r, code, message)
				return
			}
			d.end("the download ends early: " + message)
			return
		}
		if !d.started {
			d.begin()
		}
		for _, item := range reply.Items {
			if !d.write(item) {
				return
			}
		}
		if d.request.Cursor = reply.Next; reply.Next == "" {
			return
		}
	}
	d.end("there are more lines: download a day, or one person's")
}

func (d *chatDownload) begin() {
	d.started = true
	contentType, extension := "text/plain; charset=utf-8", "txt"
	if d.format == "jsonl" {
		contentType, extension = "application/jsonl", "jsonl"
	}
	d.w.Header().Set("Content-Type", contentType)
	d.w.Header().Set("Content-Disposition",
		`attachment; filename="`+bus.SubjectToken(d.server.options.Channel.Name)+`-chat.`+extension+`"`)
	d.w.WriteHeader(http.StatusOK)
}

// downloadedLine is a line of a download as JSON Lines.
type downloadedLine struct {
	ID       string `json:"id"`
	AtMS     int64  `json:"at_ms"`
	Username string `json:"username"`
	Text     string `json:"text"` // plain
	HTML     string `json:"html"` // as CyTube sent it
}

func (d *chatDownload) write(item bus.ChatItem) bool {
	text := chatText(item.Message)
	if d.format == "jsonl" {
		return writeLine(d.w, downloadedLine{
			ID: item.ID, AtMS: item.AtMS, Username: item.Username, Text: text, HTML: item.Message,
		})
	}
	at := time.UnixMilli(item.AtMS).UTC().Format("2006-01-02 15:04:05")
	_, err := d.w.Write([]byte(at + "  " + status.OneLine(item.Username, maxShownText) + ": " + text + "\n"))
	return err == nil
}

// end says why a download is not complete.
func (d *chatDownload) end(why string) {
	if d.format == "jsonl" {
		writeLine(d.w, map[string]string{"incomplete": why})
		return
	}
	_, _ = d.w.Write([]byte("(" + why + ")\n")) // it fails if the client has gone away
}
