package browser

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// oddNames have every character that CyTube allows in a name, and some that it does not.
var oddNames = []string{
	"-_-", "abcdefghijklmnopqrst", "0123456789_-ABCXYZ", "..", ".", "/", "a/b", "a b", "a%2Fb", "%", "%zz", "?",
	"#", "&=+",
	`"><`, "é", "🎬", "Robert'); DROP TABLE users;--", "\u202egnp", "_%", `\`, "null", strings.Repeat("n", 100),
}

// TestBadInputIsAnAnswer sends what cannot be answered, and what is odd and can, to pages with either store.
func TestBadInputIsAnAnswer(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		checkInput(t, newSite(t).run)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		checkInput(t, newParts(t).startWeb().url)
	})
}

func checkInput(t *testing.T, root string) {
	t.Helper()
	long := strings.Repeat("x", 10_000)
	for path, wanted := range map[string]string{
		"/chat?day=yesterday":                               "Day: expected",
		"/chat?day=2026-02-30":                              "Day: expected",
		"/chat?from=noon":                                   "from: expected",
		"/chat?to=-1":                                       "to: expected",
		"/chat?from=9&to=5":                                 "to: expected",
		"/chat?words=" + long:                               "Words: expected",
		"/chat?words=" + manyWords:                          "words",
		"/chat?cursor=beyond":                               "cursor",
		"/chat?cursor=" + long:                              "",
		"/chat/download?format=pdf":                         "format: expected",
		"/people?cursor=beyond":                             "cursor",
		"/people?sort=height":                               "sort",
		"/people?order=sideways":                            "order",
		"/people?name=" + long:                              "",
		"/people/" + long:                                   "no such person",
		"/people/nora?zone=mars":                            "zone: expected",
		"/films?by=taste":                                   "by",
		"/films?cursor=beyond":                              "cursor",
		"/records?zone=1e9":                                 "zone: expected",
		"/outbound?state=lost":                              "state",
		"/outbound?cursor=beyond":                           "cursor",
		"/health?after=beyond":                              "after: expected",
		"/api/v1/chat?from_ms=noon":                         "from_ms: expected",
		"/api/v1/chat?from_ms=9&to_ms=5":                    "to_ms: expected",
		"/api/v1/chat?to_ms=1e99":                           "to_ms: expected",
		"/api/v1/chat?limit=1000000":                        "limit: expected",
		"/api/v1/chat?limit=-1":                             "limit: expected",
		"/api/v1/chat?cursor=beyond":                        "cursor",
		"/api/v1/chat?order=sideways":                       "order",
		"/api/v1/chat?words=" + long:                        "words: expected",
		"/api/v1/counts?points=1000000":                     "points: expected",
		"/api/v1/counts?from_ms=1":                          "from_ms: expected",
		"/api/v1/people?cursor=beyond":                      "cursor",
		"/api/v1/people?sort=height":                        "sort",
		"/api/v1/people/nora?utc_offset=99999":              "utc_offset: expected",
		"/api/v1/people/nora?from_ms=1&to_ms=1790000000000": "",
		"/api/v1/films?by=taste":                            "by",
		"/api/v1/films?cursor=" + url.QueryEscape(hostile):  "cursor",
		"/api/v1/outbound?state=lost":                       "state",
		"/api/v1/outbound?cursor=beyond":                    "cursor",
		"/api/v1/state?limit=1":                             "unknown parameter",
		"/api/outbound/recent?limit=many":                   "limit: expected",
		"/api/history/soon":                                 "hours: expected",
		"/api/history/-1":                                   "hours: expected",
	} {
		code, text := ask(t, root+path, "X-API-Token", aliceToken, "Accept", "text/html")
		if code < 400 || code >= 500 || !strings.Contains(text, wanted) {
			t.Errorf("%.60s: %d, expected 4xx and %q: %.300s", path, code, wanted, text)
		}
		if isAPI := strings.HasPrefix(path, "/api/"); isAPI != json.Valid([]byte(text)) {
			t.Errorf("%.60s: the answer is not of the kind that is asked for: %.300s", path, text)
		}
	}
	for _, path := range []string{ // the whole history, or none of it
		"/chat?from=1", "/chat?from=1&to=253402300799000", "/chat?day=1971-01-01", "/chat?day=9998-12-31",
		"/chat/download?format=jsonl", "/chat/download?format=text&from=1", "/people?name=%25", "/films?person=%25",
		"/api/v1/chat?from_ms=0&to_ms=253402300799000&limit=500",
		"/api/v1/films?from_ms=1&limit=500", "/api/history/1000000", "/api/current", "/api/stats",
	} {
		code, text := ask(t, root+path, "X-API-Token", aliceToken, "Accept", "text/html")
		if code != http.StatusOK {
			t.Errorf("%s: %d %.300s", path, code, text)
		}
	}
	for _, name := range oddNames {
		for _, path := range []string{
			"/people/" + segment(name), "/api/v1/people/" + segment(name), "/chat?person=" + url.QueryEscape(name),
			"/people?name=" + url.QueryEscape(name), "/api/v1/chat?username=" + url.QueryEscape(name),
			"/chat?words=" + url.QueryEscape(name), "/films?person=" + url.QueryEscape(name),
		} {
			code, text := ask(t, root+path, "X-API-Token", aliceToken, "Accept", "text/html")
			if isPerson := strings.Contains(path, "people/"); code != 200 && (!isPerson || code != 404) {
				t.Errorf("%.80s: %d %.300s", path, code, text)
			}
		}
	}
}

// manyWords are more words than a search may have, and fewer bytes.
var manyWords = url.QueryEscape(strings.Repeat("w ", 100))

// segment returns a name as one segment of a path. Clients and servers resolve dots that are not escaped.
func segment(name string) string {
	if name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}
