package cytube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/inside"
	"rosey.dev/rosey/runtime/status"
)

// userAgent identifies the bot to the administrator of a server.
const userAgent = "rosey (bot for CyTube channels)"

const (
	// maxSocketConfig limits a response that should have a few hundred bytes, and maxHeader its header.
	maxSocketConfig = 64 << 10
	maxHeader       = 64 << 10
	// siteTimeout bounds the request for it.
	siteTimeout = 10 * time.Second
	// maxRedirects is the number of redirects within the site that are followed.
	maxRedirects = 3
)

// socketConfig is the response to GET /socketconfig/<channel>.json: the socket servers of the channel, or why there are
// none.
type socketConfig struct {
	Servers []socketServer `json:"servers"`
	Error   string         `json:"error"`
}

// socketServer has another field, secure. The URL says the same, and is what the bot connects to.
type socketServer struct {
	URL string `json:"url"`
}

// findSocket requests the URL of the channel's socket server from the site. isInside reports whether the site itself is
// at an inside address, or behind a proxy, which is one for all that the bot can see. Errors are *Error.
func findSocket(ctx context.Context, options Options) (address string, isInside bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, siteTimeout)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		isInside = inside.Is(info.Conn.RemoteAddr().String())
	}})
	client, closeIdle := newHTTPClient(false, options.DialContext)
	defer closeIdle()
	address, err = socketURL(ctx, client, options.Server, options.Channel)
	return address, isInside, err
}

// socketURL requests the URL of the channel's socket server from the site. Errors are *Error.
func socketURL(ctx context.Context, client *http.Client, server, channel string) (string, error) {
	answer, err := getSocketConfig(ctx, client, server+"/socketconfig/"+url.PathEscape(channel)+".json")
	if err != nil {
		return "", err
	}
	if answer.Error != "" {
		return "", &Error{
			Reason:  status.ReasonChannelRefused,
			Message: fmt.Sprintf("%s refuses channel %s: %s", server, channel, serverText(answer.Error)),
		}
	}
	chosen, err := choose(answer.Servers, strings.HasPrefix(strings.ToLower(server), "https://"))
	if err != nil {
		return "", unreachable(server+" returns no usable socket server", err)
	}
	return chosen, nil
}

func getSocketConfig(ctx context.Context, client *http.Client, address string) (socketConfig, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return socketConfig{}, unreachable("cannot request "+address, err)
	}
	request.Header.Set("User-Agent", userAgent)
	response, err := client.Do(request)
	if err != nil {
		return socketConfig{}, unreachable("cannot reach "+address, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxSocketConfig))
	if err != nil {
		return socketConfig{}, unreachable("cannot read "+address, err)
	}
	var answer socketConfig
	err = json.Unmarshal(body, &answer)
	if response.StatusCode == http.StatusTooManyRequests || answer.Error == "" && response.StatusCode != http.StatusOK {
		return socketConfig{}, responseError(hostOf(address), address+" returns", response, body)
	}
	if err != nil {
		return socketConfig{}, &Error{
			Reason: status.ReasonServerUnreachable, Message: address + " is not the response of a CyTube server", Err: err,
		}
	}
	return answer, nil
}

// statusText returns the status of a response without the server's own text for it.
func statusText(response *http.Response) string {
	return strings.TrimSpace(fmt.Sprintf("HTTP status %d %s", response.StatusCode, http.StatusText(response.StatusCode)))
}

// errNotEncrypted is the error for a site on https whose sockets are not encrypted: the bot logs in at the socket, and
// who wrote https expects that nobody on the way can read the password.
var errNotEncrypted = errors.New(
	"none is encrypted (https://) as the site is, and the bot does not log in without encryption")

// choose returns the URL of the first encrypted WebSocket of a list, else that of the first, unless it has to be
// encrypted.
func choose(servers []socketServer, encrypted bool) (string, error) {
	if len(servers) == 0 {
		return "", errors.New("the list of servers is empty")
	}
	var plain string
	var problem error
	for _, server := range servers {
		address, err := webSocketURL(server.URL)
		switch {
		case err != nil:
			problem = cmp.Or(problem, err)
		case strings.HasPrefix(address, "wss:"):
			return address, nil
		case plain == "":
			plain = address
		}
	}
	switch {
	case plain == "":
		return "", fmt.Errorf("none of the list is usable: %w", problem)
	case encrypted:
		return "", errNotEncrypted
	}
	return plain, nil
}

// maxHost is the longest name of a host with a port.
const maxHost = 253 + len(":65535")

func webSocketURL(server string) (string, error) {
	address, err := url.Parse(server)
	if err != nil {
		return "", fmt.Errorf("socket server %q: not a URL", serverText(server)) // err quotes all of it
	}
	switch address.Scheme {
	case "http":
		address.Scheme = "ws"
	case "https":
		address.Scheme = "wss"
	default:
		return "", fmt.Errorf("socket server %q: expected http:// or https://", serverText(server))
	}
	if address.Host == "" || len(address.Host) > maxHost || address.User != nil {
		return "", fmt.Errorf("socket server %q: expected a host and nothing but a port with it", serverText(server))
	}
	address = address.JoinPath("socket.io/")
	address.RawQuery, address.Fragment, address.RawFragment = "EIO=4&transport=websocket", "", ""
	return address.String(), nil
}
