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
	// From is a moment in milliseconds since 1970 UTC, which the page begins with: a permalink. To is one that it ends
	// before, and the newest lines before it are shown: the way back from a permalink or a day.
	From, To int64
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
	var isFrom, isTo bool
	filter.From, isFrom = numberIn(query.Get("from"), 0, maxMillis)
	filter.To, isTo = numberIn(query.Get("to"), 0, maxMillis)
	switch {
	case !isFrom:
		return filter, "from: expected a time in milliseconds since 1970."
	case !isTo || filter.To != 0 && filter.To <= filter.From:
		return filter, "to: expected a time in milliseconds since 1970, after from."
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
	if f.To > 0 {
		request.To.Time = time.UnixMilli(f.To)
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
	for name, at := range map[string]int64{"from": f.From, "to": f.To} {
		if at > 0 {
			values.Set(name, strconv.FormatInt(at, 10))
		}
	}
	return queryOf(values)
}

// before and since return the queries of the lines before a moment and from it on, for the same person and words.
func (f chatFilter) before(at time.Time) template.URL { return f.outside(0, at.UnixMilli()) }
func (f chatFilter) since(at time.Time) template.URL  { return f.outside(at.UnixMilli(), 0) }

func (f chatFilter) outside(from, to int64) template.URL {
	f.Day, f.From, f.To = "", max(0, from), max(0, to)
	return f.values("")
}

// Filtered reports whether some lines alone are asked for.
func (f chatFilter) Filtered() bool {
	return f.Day != "" || f.Person != "" || f.Words != "" || f.From != 0 || f.To != 0
}

// chatView is the content of the page.
type chatView struct {
	chatFilter
	Problem string
	Lines   []chatLine
	// Older and Newer are the queries of the other pages. Empty: there is none.
	Older, Newer template.URL
	// Searched is the time up to which a search has read that ended early. 0: it has read everything. Forward means that
	// it reads from older lines to newer ones.
	Searched int64
	Forward  bool
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
	if content.Problem, code = s.explain(r.Context(), "chat", err); err != nil {
		return code
	}
	content.Lines, content.Forward = linesOf(reply.Items), request.Order == bus.Ascending
	if content.Forward {
		slices.Reverse(content.Lines)
	}
	content.link(request.Range, reply.Next, reply.Previous)
	if reply.Next != "" && len(reply.Items) < chatPageLines && (content.Words != "" || content.Person != "") {
		content.Searched = reply.ReadToMS
	}
	return code
}

// link sets the links to the other pages: within the range by the cursors of a reply, and out of it where it ends.
func (v *chatView) link(span bus.Range, next, previous string) {
	older, newer := next, previous
	if v.Forward {
		older, newer = previous, next
	}
	switch {
	case older != "":
		v.Older = v.values(older)
	case !span.From.IsZero():
		v.Older = v.before(span.From.Time)
	}
	switch {
	case newer != "":
		v.Newer = v.values(newer)
	case !span.To.IsZero() && span.To.Before(time.Now()):
		v.Newer = v.since(span.To.Time)
	}
}

const (
	// maxDownloadPages bounds a download: each page is a request. The rest is said at its end.
	maxDownloadPages = 400
	// downloadTime bounds a download in time. What is left of it when it ends is for saying so.
	downloadTime = 2 * time.Minute
	downloadRest = 5 * time.Second
	// downloadSilence is how long a search may find nothing. Proxies end a response from which nothing comes.
	downloadSilence = 30 * time.Second
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
	release, ok := s.downloads.take(r.Context(), 1, turnWait)
	if !ok {
		s.fail(w, r, http.StatusServiceUnavailable, "Others are downloading at the moment. Try again soon.")
		return
	}
	defer release()
	filter.Cursor = ""
	now := time.Now()
	download := chatDownload{
		server: s, w: w, format: format, request: filter.request(s.origin()), until: now.Add(downloadTime - downloadRest),
		silentAt: now.Add(downloadSilence),
	}
	download.request.Order, download.request.Limit = bus.Ascending, bus.MaxQueryLimit
	_ = http.NewResponseController(w).SetWriteDeadline(now.Add(downloadTime))
	download.run(r)
}

// chatDownload writes lines page by page.
type chatDownload struct {
	server  *Server
	w       http.ResponseWriter
	format  string
	request bus.ChatRequest
	started bool
	// until is when the download ends, and silentAt when it does if no line is found before.
	until, silentAt time.Time
}

func (d *chatDownload) run(r *http.Request) {
	for range maxDownloadPages {
		var reply bus.ChatReply
		wait := max(turnWait, time.Until(d.until))
		if err := d.server.askInTurn(r.Context(), d.server.searches, wait, bus.QueryChat, d.request, &reply); err != nil {
			message, code := d.server.explain(r.Context(), "a download", err)
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
		if !d.writeAll(reply.Items) {
			return
		}
		if d.request.Cursor = reply.Next; reply.Next == "" {
			return
		}
		now := time.Now()
		if len(reply.Items) > 0 {
			d.silentAt = now.Add(downloadSilence)
		}
		if now.After(d.until) || now.After(d.silentAt) {
			d.end("it took too long, and there may be more lines: download a day, or those before " +
				time.UnixMilli(reply.ReadToMS).UTC().Format(timeFormat) + " UTC and those after it")
			return
		}
	}
	d.end("there are more lines: download a day, or one person's")
}

// writeAll writes lines and sends them on their way. It reports whether the client is still there.
func (d *chatDownload) writeAll(items []bus.ChatItem) bool {
	for _, item := range items {
		if !d.write(item) {
			return false
		}
	}
	return http.NewResponseController(d.w).Flush() == nil
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
