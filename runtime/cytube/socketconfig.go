package cytube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"rosey.dev/rosey/runtime/status"
)

// userAgent tells a server's administrator who connects.
const userAgent = "rosey (https://rosey.dev)"

// maxSocketConfig bounds what is read of an answer that should be a few hundred bytes.
const maxSocketConfig = 1 << 20

// socketConfig is the answer to GET /socketconfig/<channel>.json: where the channel's sockets are, or
// why there are none.
type socketConfig struct {
	Servers []socketServer `json:"servers"`
	Error   string         `json:"error"`
}

type socketServer struct {
	URL    string `json:"url"`
	Secure bool   `json:"secure"`
}

// socketURL asks the site which socket server the channel is on. Errors are *Error.
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
	chosen, err := webSocketURL(choose(answer.Servers))
	if err != nil {
		return "", unreachable(server+" does not say where its sockets are", err)
	}
	return chosen, nil
}

func getSocketConfig(ctx context.Context, client *http.Client, address string) (socketConfig, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return socketConfig{}, unreachable("cannot ask "+address, err)
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
	if answer.Error == "" && response.StatusCode != http.StatusOK {
		// Without CyTube's own word for it this is a proxy in front of it, or another site.
		return socketConfig{}, &Error{
			Reason: status.ReasonServerUnreachable, Message: address + " answers " + response.Status,
		}
	}
	if err != nil {
		return socketConfig{}, unreachable(address+" does not answer as a CyTube server", err)
	}
	return answer, nil
}

// choose takes the first secure server, else the first.
func choose(servers []socketServer) string {
	for _, server := range servers {
		if server.Secure {
			return server.URL
		}
	}
	if len(servers) > 0 {
		return servers[0].URL
	}
	return ""
}

func webSocketURL(server string) (string, error) {
	if server == "" {
		return "", errors.New("the list of servers is empty")
	}
	address, err := url.Parse(server)
	if err != nil {
		return "", fmt.Errorf("socket server %q: %w", serverText(server), err)
	}
	switch address.Scheme {
	case "http":
		address.Scheme = "ws"
	case "https":
		address.Scheme = "wss"
	default:
		return "", fmt.Errorf("socket server %q: expected http:// or https://", serverText(server))
	}
	address = address.JoinPath("socket.io/")
	address.RawQuery = "EIO=4&transport=websocket"
	return address.String(), nil
}
