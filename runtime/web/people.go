package web

import (
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

func (s *Server) peoplePages() []page {
	return []page{
		{"GET /people", ForPeople, s.servePeople},
		{"GET /people/{name}", ForPeople, s.servePerson},
		{"GET /people/{name}/days.json", ForPeople, s.serveDaysChart},
	}
}

// peopleView is the content of the list of people.
type peopleView struct {
	Problem string
	Sort    bus.UsersSort
	Order   bus.Order
	Filter  string
	Items   []bus.UserItem
	Total   int
	// Columns are the orders of the list that can be chosen.
	Columns []sortColumn
	Pages   pageLinks
}

// sortColumn is a column of a table by which the table can be sorted.
type sortColumn struct {
	Title string
	// Query is that of the URL that sorts by the column.
	Query template.URL
	// Current is "ascending" or "descending" if the table is sorted by it, else empty.
	Current string
	// Class is the style of its cells.
	Class string
}

// userColumns are the columns of the list of people, in order.
var userColumns = []struct {
	title string
	sort  bus.UsersSort
	class string
}{
	{"Name", bus.UsersByName, ""}, {"Lines", bus.UsersByLines, "num"}, {"Time here", bus.UsersByHours, "num"},
	{"First seen", bus.UsersByFirstSeen, "wide-only"}, {"Last seen", bus.UsersByLastSeen, "wide-only"},
}

// defaultOrder is the order of a list of people if the reader names none.
func defaultOrder(sort bus.UsersSort) bus.Order {
	if sort == bus.UsersByName {
		return bus.Ascending
	}
	return bus.Descending
}

// values returns the query of the list with another order.
func (v peopleView) values(sort bus.UsersSort, order bus.Order) url.Values {
	values := url.Values{"sort": {string(sort)}, "order": {string(order)}}
	if v.Filter != "" {
		values.Set("name", v.Filter)
	}
	return values
}

// columns returns the heads of the table. A second click on one reverses the order.
func (v peopleView) columns() (columns []sortColumn) {
	for _, one := range userColumns {
		column := sortColumn{Title: one.title, Class: one.class}
		order := defaultOrder(one.sort)
		if one.sort == v.Sort {
			column.Current = map[bus.Order]string{bus.Ascending: "ascending", bus.Descending: "descending"}[v.Order]
			if order = bus.Ascending; v.Order == bus.Ascending {
				order = bus.Descending
			}
		}
		column.Query = queryOf(v.values(one.sort, order))
		columns = append(columns, column)
	}
	return columns
}

func (s *Server) servePeople(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	content := peopleView{
		Sort: bus.UsersSort(query.Get("sort")), Order: bus.Order(query.Get("order")),
		Filter: strings.TrimSpace(query.Get("name")),
	}
	if content.Sort == "" {
		content.Sort = bus.UsersByLines
	}
	if content.Order == "" {
		content.Order = defaultOrder(content.Sort)
	}
	cursor := query.Get("cursor")
	var reply bus.UsersReply
	err := s.ask(r.Context(), bus.QueryUsers, bus.UsersRequest{
		Page: bus.Page{Cursor: cursor}, Sort: content.Sort, Order: content.Order, Filter: content.Filter, Origin: s.origin(),
	}, &reply)
	message, code := s.explain(r.Context(), "people", err)
	content.Problem, content.Items, content.Total = message, reply.Items, reply.Total
	content.Columns = content.columns()
	values := content.values(content.Sort, content.Order)
	content.Pages = linkPages("More people", "people", values, "cursor", cursor, reply.Next)
	s.render(w, r, code, "people.html", view{Title: "People", Data: content})
}

// personView is the content of the page about a person.
type personView struct {
	Problem string
	Name    string
	Zone    int
	bus.UserReply
	// Heat are the hours of the week with lines.
	Heat []heatDay
	// Stays are the sessions as parts of the time line.
	Stays []stay
}

// heatDay is a weekday of a heat map.
type heatDay struct {
	Name  string
	Hours [24]heatHour
}

// heatHour is an hour of a heat map. Level is from 0, no lines, to 5.
type heatHour struct{ Hour, Lines, Level int }

const heatLevels = 5

// heatOf returns the heat map of counts by weekday and hour.
func heatOf(counts [7][24]int) (days []heatDay) {
	most := 0
	for _, day := range counts {
		for _, lines := range day {
			most = max(most, lines)
		}
	}
	for i, name := range []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"} {
		day := heatDay{Name: name}
		for hour, lines := range counts[i] {
			day.Hours[hour] = heatHour{Hour: hour, Lines: lines}
			if lines > 0 {
				day.Hours[hour].Level = 1 + (lines-1)*heatLevels/most
			}
		}
		days = append(days, day)
	}
	return days
}

// stay is a session on the time line: where it begins and how long it is, in thousandths of the range.
type stay struct {
	Begin, Length int
	bus.SessionItem
}

const timeLine = 1000

// staysOf returns the time line of sessions. An open one lasts until the end of the range.
func staysOf(reply bus.UserReply) (stays []stay) {
	span := reply.ToMS - reply.FromMS
	if span <= 0 {
		return nil
	}
	for _, session := range reply.Sessions {
		end := session.LeaveMS
		if end == 0 || end > reply.ToMS {
			end = reply.ToMS
		}
		begin := max(session.JoinMS, reply.FromMS)
		at := min(int((begin-reply.FromMS)*timeLine/span), timeLine-1)
		length := min(max(1, int((end-begin)*timeLine/span)), timeLine-at)
		stays = append(stays, stay{Begin: at, Length: length, SessionItem: session})
	}
	return stays
}

// askPerson returns what is known about the person of a request's path.
func (s *Server) askPerson(r *http.Request) (content personView, code int) {
	content.Name = r.PathValue("name")
	if content.Zone, content.Problem = parseZone(r.URL.Query().Get("zone")); content.Problem != "" {
		return content, http.StatusBadRequest
	}
	if len(content.Name) > maxPersonBytes {
		content.Problem = "There is no such person: the name is too long."
		return content, http.StatusBadRequest
	}
	err := s.ask(r.Context(), bus.QueryUser, bus.UserRequest{
		Username: content.Name, Zone: bus.Zone{UTCOffset: content.Zone}, Origin: s.origin(),
	}, &content.UserReply)
	content.Problem, code = s.explain(r.Context(), "a person", err)
	if err == nil && !content.Found {
		content.Problem, code = "Nobody of this name has been seen in the channel.", http.StatusNotFound
	}
	return content, code
}

func (s *Server) servePerson(w http.ResponseWriter, r *http.Request) {
	content, code := s.askPerson(r)
	if content.Found {
		content.Name = content.Username
		content.Heat, content.Stays = heatOf(content.Hours), staysOf(content.UserReply)
	}
	s.render(w, r, code, "person.html", view{Title: content.Name, Data: content})
}

// maxChartDays is more than a reply is about. A range that is none must not take memory without end.
const maxChartDays = 400

// serveDaysChart serves the lines of a person by day. Days without lines are 0.
func (s *Server) serveDaysChart(w http.ResponseWriter, r *http.Request) {
	content, code := s.askPerson(r)
	if content.Problem != "" {
		s.fail(w, r, code, content.Problem)
		return
	}
	lines := map[string]int{}
	for _, day := range content.Days {
		lines[day.Date] = day.Lines
	}
	shown := chart{Series: []series{{Label: "lines", Kind: "bars"}}}
	zone := time.FixedZone("", content.Zone*60)
	end := time.UnixMilli(content.ToMS).In(zone)
	day := time.UnixMilli(content.FromMS).In(zone)
	for ; !day.After(end) && len(shown.X) < maxChartDays; day = day.AddDate(0, 0, 1) {
		shown.X = append(shown.X, day.Unix())
		shown.Series[0].Values = append(shown.Series[0].Values, lines[day.Format(time.DateOnly)])
	}
	writeJSON(w, http.StatusOK, shown)
}
