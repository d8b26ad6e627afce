package process

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"rosey.dev/rosey/runtime/status"
)

// State is the body of status.StatePath and what the page is made of: the report, and what changes all the time.
type State struct {
	status.Report

	// At is when this was so.
	At time.Time `json:"at"`
	// Channel is nil while no bot of this process is in a channel.
	Channel *Channel `json:"channel,omitempty"`
	// Numbers are what of the metrics says something to people.
	Numbers []Number `json:"numbers"`
}

// Channel is what a bot sees in its channel.
type Channel struct {
	Server string `json:"server"`
	Name   string `json:"name"`
	// Self is the bot's name, empty for an anonymous watcher.
	Self string `json:"self"`
	// Users are everybody with a name, by name.
	Users []User `json:"users"`
	// Connected counts the nameless too.
	Connected int `json:"connected"`
	// Playing is nil when nothing plays.
	Playing *Playing `json:"playing,omitempty"`
	// Items is how long the playlist is.
	Items int `json:"playlistItems"`
	// Leader is who leads what plays, empty for the server.
	Leader string `json:"leader,omitempty"`
}

// User is somebody in the channel.
type User struct {
	Name  string  `json:"name"`
	Rank  float64 `json:"rank"`
	AFK   bool    `json:"afk"`
	Muted bool    `json:"muted"`
}

// Playing is what plays. Seconds is 0 for a live stream.
type Playing struct {
	Title    string  `json:"title"`
	Seconds  int     `json:"seconds"`
	Position float64 `json:"position"`
	Paused   bool    `json:"paused"`
}

// Length is Seconds as the page counts.
func (p Playing) Length() float64 { return float64(p.Seconds) }

func (s Server) look(ctx context.Context) State {
	state := State{Report: s.Report(), At: time.Now(), Numbers: numbers(s.Metrics)}
	if s.Channel != nil {
		state.Channel = s.Channel(ctx)
	}
	return state
}

func (s Server) state(w http.ResponseWriter, r *http.Request) {
	body, err := json.MarshalIndent(s.look(r.Context()), "", "  ")
	if err != nil {
		http.Error(w, "the state cannot be encoded", http.StatusInternalServerError)
		return
	}
	answer(w, http.StatusOK, "application/json", append(body, '\n'))
}
