package browser

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"rosey.dev/rosey/test/porttest"
)

// TestTokensEndLogins takes tokens away and replaces them while somebody is logged in.
func TestTokensEndLogins(t *testing.T) {
	t.Parallel()
	s := newParts(t)
	web := s.startWeb()
	b := newBalancer(t, "127.0.0.1", "http", web) // what was passed on is not local: reading needs a token
	p := newPage(t)
	p.logIn(b.url, "a wrong token of some length")
	p.shows("Nobody has this token")
	p.logIn(b.url, "short") // the token of carol, which is refused
	p.shows("Nobody has this token")
	p.logIn(b.url, aliceToken)
	p.waits("the box for a line", `!!document.querySelector("#say")`)

	const replaced = "alice-has-a-new-token"
	s.setToken("alice", replaced)
	ended := func() bool {
		code, _ := ask(t, b.url+"/outbound", "X-API-Token", aliceToken)
		return code == 401
	}
	eventually(t, "the old token no longer works", ended)
	p.do("saying a line", sendKeys("#text", "with an old token\r"))
	p.shows("The line was not sent: your login has ended. Log in again.")
	web.end()
	s.startWebAt(web.address) // its pages lose their connections, and open others
	p.shows(": your login has ended. Log in again.")
	p.open(b.url + "/outbound?state=sent")
	p.shows("Your login has ended")
	p.do("typing the old token", sendKeys("#token", aliceToken+"\r"))
	p.shows("Nobody has this token")
	p.do("typing the new token", sendKeys("#token", replaced+"\r"))
	p.shows("Have the bot say a line")
	p.waits("the page that was asked for", `location.search === "?state=sent"`)

	for _, name := range []string{"alice", "bob.commands", "carol"} {
		s.setToken(name, "")
	}
	eventually(t, "no token works", func() bool {
		return strings.Contains(body(t, b.url+"/login"), "there are no tokens")
	})
	p.open(b.url + "/outbound")
	p.shows("Nobody can log in: there are no tokens.")
	p.shows("Your login has ended")
}

// TestLoginsWithoutTLS logs in at an address that is not a loopback one, where browsers keep no cookie that is Secure.
func TestLoginsWithoutTLS(t *testing.T) {
	t.Parallel()
	host := ownAddress(t)
	s := newParts(t)
	web := s.startWebAt(net.JoinHostPort(host, strconv.Itoa(porttest.Free(t))))
	p := newPage(t)
	p.open(web.url + "/")
	p.shows("whoever is on the way can read your token")
	p.logIn(web.url, aliceToken)
	p.waits("the box for a line", `!!document.querySelector("#say")`)
	p.do("saying a line", sendKeys("#text", "without TLS\r"))
	p.waits("the line", `document.querySelector("#mine").innerText.includes("without TLS")`)

	// A proxy says that browsers use TLS, and this one does not.
	b := newBalancer(t, host, "https", web)
	another := newPage(t)
	another.logIn(b.url, aliceToken)
	another.shows("The token is right, but your browser has not kept the login.")
	another.shows("open the page with https://")
}

// TestAStrangersSiteCanDoNothing opens a site that has the browser of somebody who is logged in send requests.
func TestAStrangersSiteCanDoNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := newPage(t)
	p.logIn(s.run, aliceToken)
	p.waits("the box for a line", `!!document.querySelector("#say")`)
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		switch r.URL.Path {
		case "/form":
			_, _ = fmt.Fprintf(w, `<form method=post action="%s/say"><input name=text value=forged></form>`+
				`<script>document.forms[0].submit()</script>`, s.run)
		default:
			_, _ = fmt.Fprintf(w, `<iframe src="%[1]s/"></iframe><iframe src="%[1]s/login"></iframe><p>a stranger's site`, s.run)
		}
	}))
	t.Cleanup(stranger.Close)
	sameSite := stranger.URL // another port of the same host: its requests have the cookie
	crossSite := strings.Replace(stranger.URL, "127.0.0.1", "localhost", 1)
	for _, site := range []string{sameSite, crossSite} {
		p.open(site + "/form")
		p.shows("Requests from other sites are refused.")
		p.open(site + "/")
		p.shows("a stranger's site")
		results := run[[]string](p, fmt.Sprintf(`(async () => {
			const tried = [];
			const attempt = async (name, how) => {
				try { tried.push(name + " " + await how()); } catch { tried.push(name + " refused"); }
			};
			const forged = { method: "POST", credentials: "include", body: new URLSearchParams({ text: "forged" }) };
			await attempt("blind post", async () => (await fetch(%[1]q + "/outbound", { ...forged, mode: "no-cors" })).type);
			await attempt("post", async () => (await fetch(%[1]q + "/say", forged)).status);
			await attempt("json", async () => (await fetch(%[1]q + "/api/v1/outbound", { method: "POST", credentials: "include",
				headers: { "Content-Type": "application/json" }, body: '{"message": "forged"}' })).status);
			await attempt("read", async () => (await fetch(%[1]q + "/api/v1/outbound", { credentials: "include" })).status);
			await attempt("events", () => new Promise((resolve, reject) => {
				const events = new EventSource(%[1]q + "/live", { withCredentials: true });
				events.onerror = reject;
				events.onmessage = events.onopen = () => resolve("open");
			}));
			await attempt("script", () => new Promise((resolve, reject) => {
				const script = document.createElement("script");
				script.src = %[1]q + "/api/v1/chat";
				script.onload = () => resolve("loaded");
				script.onerror = reject;
				document.body.append(script);
			}));
			await attempt("frame", async () =>
				document.querySelector("iframe").contentDocument?.body.innerText.length || Promise.reject());
			return tried;
		})()`, s.run))
		for _, result := range results {
			if !strings.HasSuffix(result, " refused") && result != "blind post opaque" {
				t.Errorf("from %s: %s", site, result)
			}
		}
	}
	if code, lines := ask(t, s.run+"/api/v1/outbound", "X-API-Token", aliceToken); code != 200 ||
		strings.Contains(lines, "forged") {
		t.Errorf("a stranger's site has queued a line: %d %s", code, lines)
	}
}
