package web

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// apiRoot is the path of what programs use. Its errors are JSON: {"error": "…"}.
const apiRoot = "/api/"

// openAPI describes the paths below /api/v1/. A test holds it against the handlers, and writes it with -update.
//
//go:embed openapi.json
var openAPI []byte

func (s *Server) apiPages() []page {
	return []page{
		{"GET /api/v1/openapi.json", ForAll, serveOpenAPI},
		{"GET /api/v1/state", ForReaders, s.serveState},
		{"GET /api/v1/chat", ForReaders, query(s, bus.QueryChat, s.readChat, whole[bus.ChatReply])},
		{"GET /api/v1/counts", ForReaders, query(s, bus.QueryUserCounts, s.readCounts, whole[bus.UserCountsReply])},
		{"GET /api/v1/people", ForPeople, query(s, bus.QueryUsers, s.readPeople, whole[bus.UsersReply])},
		{"GET /api/v1/people/{name}", ForPeople, query(s, bus.QueryUser, s.readPerson, unknownPerson)},
		{"GET /api/v1/films", ForReaders, query(s, bus.QueryMedia, s.readFilms, whole[bus.MediaReply])},
		{"GET /api/v1/records", ForReaders, query(s, bus.QueryRecords, s.readRecords, s.withoutPeople)},
		{"GET /api/v1/plugins", ForReaders, s.servePluginsAPI},
		{
			"GET /api/v1/plugins/actions", ForTokens,
			query(s, bus.QueryPluginActions, s.readPluginActions, whole[bus.PluginActionsReply]),
		},
		{"GET /api/v1/outbound", ForTokens, query(s, bus.QueryOutbound, s.readOutbound, whole[bus.OutboundListReply])},
		{"POST /api/v1/outbound", ForTokens, s.putOutbound},
		{"DELETE /api/v1/outbound/{id}", ForTokens, s.cancelOutbound},
	}
}

func serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI) // it fails if the client has gone away
}

// isAPI reports whether a request is that of a program.
func isAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, apiRoot) }

// apiError is the body of every response of the API with a code from 400 on.
type apiError struct {
	Error string `json:"error"`
}

// serveCrossOrigin answers what another site makes a browser send.
func (s *Server) serveCrossOrigin(w http.ResponseWriter, r *http.Request) {
	s.fail(w, r, http.StatusForbidden, "Requests from other sites are refused.")
}

// apiProblem is the code and the error of a response. The zero value is none.
type apiProblem struct {
	code    int
	message string
}

// query returns a handler that sends a request to the database service, as read makes it of the request of the client,
// and answers with the reply. finish changes the reply, or says why it is none.
func query[Q, R any](
	s *Server, suffix bus.Suffix, read func(*http.Request, *parameters) Q, finish func(*http.Request, *R) apiProblem,
) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p := &parameters{values: r.URL.Query()}
		request := read(r, p)
		if problem := p.end(); problem.code != 0 {
			failAPI(w, problem.code, problem.message)
			return
		}
		var reply R
		err := s.ask(r.Context(), suffix, request, &reply)
		if message, code := s.explain(r.Context(), "the API", err); err != nil {
			s.fail(w, r, code, inMilliseconds(message))
			return
		}
		if problem := finish(r, &reply); problem.code != 0 {
			failAPI(w, problem.code, problem.message)
			return
		}
		writeJSON(w, http.StatusOK, reply)
	}
}

// inMilliseconds names the parameters of the API in an error that names the fields of a request, which has seconds.
func inMilliseconds(message string) string {
	for _, field := range []string{"from", "to"} {
		if rest, found := strings.CutPrefix(message, field+":"); found {
			return field + "_ms:" + rest
		}
	}
	return message
}

// whole is for replies that are passed on as they are.
func whole[R any](*http.Request, *R) (none apiProblem) { return none }

// parameters reads the query of a URL. It keeps the first thing that is wrong with it.
type parameters struct {
	values  url.Values
	known   []string
	problem apiProblem
}

// fail notes what is wrong, unless something was before.
func (p *parameters) fail(code int, message string) {
	if p.problem.code == 0 {
		p.problem = apiProblem{code: code, message: message}
	}
}

// maxParameter bounds a parameter. The database service has narrower bounds.
const maxParameter = 1024

func (p *parameters) text(name string) string {
	p.known = append(p.known, name)
	text := p.values.Get(name)
	if len(text) > maxParameter {
		p.fail(http.StatusBadRequest, name+": expected at most "+strconv.Itoa(maxParameter)+" bytes")
		return ""
	}
	return text
}

func (p *parameters) number(name string, lowest, highest int64) int64 {
	number, ok := numberIn(p.text(name), lowest, highest)
	if !ok {
		p.fail(http.StatusBadRequest, name+": expected a whole number from "+strconv.FormatInt(lowest, 10)+" to "+
			strconv.FormatInt(highest, 10))
	}
	return number
}

func (p *parameters) time(name string) (at bus.Seconds) {
	if ms := p.number(name, 0, maxMillis); ms > 0 {
		at.Time = time.UnixMilli(ms)
	}
	return at
}

func (p *parameters) span() bus.Range { return bus.Range{From: p.time("from_ms"), To: p.time("to_ms")} }

func (p *parameters) page() bus.Page {
	return bus.Page{Limit: int(p.number("limit", 1, bus.MaxQueryLimit)), Cursor: p.text("cursor")}
}

func (p *parameters) zone() bus.Zone {
	return bus.Zone{UTCOffset: int(p.number("utc_offset", -bus.MaxUTCOffsetMinutes, bus.MaxUTCOffsetMinutes))}
}

// end returns what is wrong. A parameter that nobody has read is: it may be a misspelled one.
func (p *parameters) end() apiProblem {
	for name := range p.values {
		if !slices.Contains(p.known, name) {
			slices.Sort(p.known)
			known := cmp.Or(strings.Join(p.known, ", "), "none")
			p.fail(http.StatusBadRequest, "unknown parameter: expected one of: "+known)
		}
	}
	return p.problem
}

// readChat lets those alone ask what one person has said who may read about single persons.
func (s *Server) readChat(r *http.Request, p *parameters) bus.ChatRequest {
	request := bus.ChatRequest{
		Range: p.span(), Page: p.page(), Order: bus.Order(p.text("order")), Username: p.text("username"),
		Words: p.text("words"), Origin: s.origin(),
	}
	if request.Username != "" && !s.allows(ForPeople, r) {
		p.fail(http.StatusForbidden, "username: you may not read about single persons")
	}
	return request
}

// readCounts adds who came and went for those who may read about single persons.
func (s *Server) readCounts(r *http.Request, p *parameters) bus.UserCountsRequest {
	return bus.UserCountsRequest{
		Range: p.span(), Points: int(p.number("points", 2, bus.MaxCountPoints)), Joins: s.allows(ForPeople, r),
		Origin: s.origin(),
	}
}

func (s *Server) readPeople(_ *http.Request, p *parameters) bus.UsersRequest {
	return bus.UsersRequest{
		Page: p.page(), Sort: bus.UsersSort(p.text("sort")), Order: bus.Order(p.text("order")), Filter: p.text("filter"),
		Origin: s.origin(),
	}
}

func (s *Server) readPerson(r *http.Request, p *parameters) bus.UserRequest {
	name := r.PathValue("name")
	if len(name) > maxPersonBytes {
		p.fail(http.StatusNotFound, noSuchPerson)
	}
	return bus.UserRequest{Username: name, Range: p.span(), Zone: p.zone(), Origin: s.origin()}
}

const noSuchPerson = "nobody of this name has been seen in the channel"

func unknownPerson(_ *http.Request, reply *bus.UserReply) (none apiProblem) {
	if !reply.Found {
		return apiProblem{code: http.StatusNotFound, message: noSuchPerson}
	}
	return none
}

// readFilms lets those alone ask who has queued what who may read about single persons.
func (s *Server) readFilms(r *http.Request, p *parameters) bus.MediaRequest {
	request := bus.MediaRequest{
		Range: p.span(), Page: p.page(), By: bus.MediaBy(p.text("by")), Username: p.text("username"), Origin: s.origin(),
	}
	if (request.By == bus.MediaByUser || request.Username != "") && !s.allows(ForPeople, r) {
		p.fail(http.StatusForbidden, "by, username: you may not read about single persons")
	}
	return request
}

func (s *Server) readRecords(_ *http.Request, p *parameters) bus.RecordsRequest {
	return bus.RecordsRequest{Zone: p.zone(), Origin: s.origin()}
}

// withoutPeople leaves out who holds a record, for those who may not read about single persons.
func (s *Server) withoutPeople(r *http.Request, reply *bus.RecordsReply) (none apiProblem) {
	if reply.LongestSession != nil && !s.allows(ForPeople, r) {
		reply.LongestSession.Username = ""
	}
	return none
}

func (s *Server) readOutbound(_ *http.Request, p *parameters) bus.OutboundListRequest {
	request := bus.OutboundListRequest{Page: p.page(), Origin: s.origin()}
	if state := p.text("state"); state != "" {
		request.States = []bus.OutboundState{bus.OutboundState(state)}
	}
	return request
}

// apiLine is the body of a request to say a line.
type apiLine struct {
	Message string `json:"message"`
	// ClientID makes a repetition harmless: within the person's lines there is one for each. Empty: a new line.
	ClientID string `json:"client_id,omitempty"`
}

// apiQueued is the reply to a line that was queued.
type apiQueued struct {
	ID int64 `json:"id"`
}

// readLine decodes a request to say a line, or answers what is wrong with it.
func readLine(w http.ResponseWriter, r *http.Request) (line apiLine, ok bool) {
	body := json.NewDecoder(r.Body)
	err := body.Decode(&line)
	if _, rest := body.Token(); err == nil && !errors.Is(rest, io.EOF) { // such as a second line, which would not be said
		err = cmp.Or(rest, errors.New("something follows the object"))
	}
	line.Message = strings.TrimSpace(line.Message)
	_, isTooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case isTooLarge:
		failAPI(w, http.StatusRequestEntityTooLarge, "the body is too large")
	case err != nil:
		failAPI(w, http.StatusBadRequest, `body: expected a JSON object such as {"message": "hello"}`)
	case line.Message == "":
		failAPI(w, http.StatusBadRequest, "message: expected the text of a line")
	case len(line.ClientID) > maxClientID:
		failAPI(w, http.StatusBadRequest, "client_id: expected at most "+strconv.Itoa(maxClientID)+" bytes")
	default:
		return line, true
	}
	return line, false
}

func (s *Server) putOutbound(w http.ResponseWriter, r *http.Request) {
	if id, ok := s.sayBody(w, r); ok {
		writeJSON(w, http.StatusCreated, apiQueued{ID: id})
	}
}

// sayBody queues the line of a request's body, or responds with an error.
func (s *Server) sayBody(w http.ResponseWriter, r *http.Request) (id int64, ok bool) {
	line, ok := readLine(w, r)
	if !ok {
		return 0, false
	}
	person, _ := personOf(r)
	id, problem, code := s.say(r.Context(), person, line.Message, line.ClientID)
	if problem != "" {
		s.fail(w, r, code, problem)
		return 0, false
	}
	return id, true
}

// cancelOutbound takes a line back that waits.
func (s *Server) cancelOutbound(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id <= 0 {
		failAPI(w, http.StatusNotFound, "id: expected the ID of a line")
		return
	}
	reply, err := s.cancel(r, id)
	if message, code := s.explain(r.Context(), takingBack, err); err != nil {
		s.fail(w, r, cancelCode(reply.State, err, code), message)
		return
	}
	writeJSON(w, http.StatusOK, reply)
}

// cancelCode returns the code of explain, and codes of their own for lines that do not exist and for those that do not
// wait any more.
func cancelCode(state bus.OutboundState, err error, code int) int {
	switch _, isProblem := errors.AsType[*QueryProblem](err); {
	case isProblem && state == bus.OutboundUnknown:
		return http.StatusNotFound
	case isProblem && state != "":
		return http.StatusConflict
	}
	return code
}

// apiState is what is known of the channel now.
type apiState struct {
	// Live reports whether State is what the bot says now. If it is false, Trouble is why, since TroubleMS, and State is
	// what the bot said last.
	Live      bool   `json:"live"`
	Trouble   string `json:"trouble,omitempty"`
	TroubleMS int64  `json:"trouble_ms,omitempty"`
	// State is absent if the bot has not answered since the page was started. While it is live, its position and its
	// time are those of the response.
	State *bus.ChannelState `json:"state,omitempty"`
}

// channelNow returns what the bot said last. It is what the open pages show: programs that poll do not reach the bot.
func (s *Server) channelNow() apiState {
	content := s.liveView()
	now := apiState{
		Live: content.Trouble == "" && content.State != nil, Trouble: content.Trouble, TroubleMS: content.TroubleMS,
	}
	if content.TroubleMS < 0 { // the page has just started
		now.TroubleMS = 0
	}
	if content.State == nil {
		return now
	}
	state := *content.State
	if state.Playing != nil && now.Live {
		playing := *state.Playing
		playing.Position = content.Position
		state.Playing, state.At = &playing, time.Now().UnixMilli()
	}
	now.State = &state
	return now
}

func (s *Server) serveState(w http.ResponseWriter, r *http.Request) {
	p := &parameters{values: r.URL.Query()}
	if problem := p.end(); problem.code != 0 {
		failAPI(w, problem.code, problem.message)
		return
	}
	writeJSON(w, http.StatusOK, s.channelNow())
}
