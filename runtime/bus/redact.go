package bus

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"rosey.dev/rosey/runtime/config"
)

// errMalformedURL is the error for URLs that nats.go cannot parse.
var errMalformedURL = errors.New("malformed URL: expected nats://, tls://, ws:// or wss:// and host[:port]; " +
	"special characters in a password have to be escaped as %XX")

// hidden stands for what may contain a secret.
const hidden = "…"

var (
	// nextURL matches the comma between two URLs. A comma in a password has no scheme behind it.
	nextURL = regexp.MustCompile(`,\s*([a-z]+://)`)
	// hostAndPort is what is shown of a URL.
	hostAndPort = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
)

// redactURL returns NATS URLs as they may be shown in logs, errors and the status: scheme, host and port. Users,
// passwords, paths and queries are left out, and so is a host that may be a part of them, because a special character
// in a password was not escaped.
func redactURL(urls string) string {
	servers := splitURLs(urls)
	for i, server := range servers {
		servers[i] = redactOne(strings.TrimSpace(server))
	}
	return strings.Join(servers, ",")
}

// splitURLs divides a list before each URL with a scheme.
func splitURLs(urls string) []string {
	return strings.Split(nextURL.ReplaceAllString(urls, "\n$1"), "\n")
}

// checkURLs returns an error for a URL with which no attempt to connect can succeed, and if a password has a comma:
// there nats.go would divide it and take the parts for servers, whose names would be looked up and shown.
func checkURLs(urls string) error {
	for _, server := range splitURLs(urls) {
		if strings.Contains(server, "@") {
			if strings.Contains(server, ",") {
				return errMalformedURL
			}
			continue
		}
		if problem := config.NATSURLProblem(server); problem != "" {
			return fmt.Errorf("malformed URL: %s", problem)
		}
	}
	return nil
}

// redactOne is redactURL for what is between two schemes: one URL, or several of which only the first has a scheme.
func redactOne(server string) string {
	scheme, rest, found := strings.Cut(server, "://")
	if !found {
		scheme, rest = "nats", server
	}
	scheme += "://"
	// The user info of a URL ends before its path and its query, so this "@" is a part of one of them, or these are parts
	// of a password.
	if end := strings.IndexAny(rest, "/?#"); end >= 0 && strings.Contains(rest[end:], "@") {
		return scheme + hidden
	}
	parsed, err := url.Parse("nats://" + rest)
	if err == nil && hostAndPort.MatchString(parsed.Host) {
		return scheme + parsed.Host
	}
	if strings.ContainsAny(rest, "@?#%") {
		return scheme + hidden
	}
	hosts := strings.Split(rest, ",")
	for i, host := range hosts {
		hosts[i] = strings.TrimSpace(host)
		if !hostAndPort.MatchString(hosts[i]) {
			return scheme + hidden
		}
	}
	return scheme + strings.Join(hosts, ",")
}
