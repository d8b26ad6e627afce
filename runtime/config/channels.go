package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

const (
	// MaxListedChannels is how many channels a file for ChannelList may name.
	MaxListedChannels = 128
	// maxListBytes is more than a file with MaxListedChannels needs.
	maxListBytes = 256 << 10
)

// ListedChannel is a channel in the file that Database.ChannelsFile names, which is a list of them in YAML or JSON.
type ListedChannel struct {
	// Server is as in Channel. Empty: DefaultServer.
	Server string `json:"server,omitempty"`
	// Name is as in Channel.
	Name string `json:"name"`
}

// ChannelList is the file that Database.ChannelsFile names. It is not safe for concurrent use.
type ChannelList struct {
	file     string
	content  []byte
	channels []ListedChannel
}

// NewChannelList returns the list in a file, which is not read yet.
func NewChannelList(file string) *ChannelList { return &ChannelList{file: file} }

// Read returns the channels that the file names now. It is cheap while the file does not change.
func (l *ChannelList) Read() ([]ListedChannel, error) {
	content, err := ReadBoundedFile(l.file, maxListBytes)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the list of channels: %w", err)
	case l.content != nil && bytes.Equal(content, l.content):
		return l.channels, nil
	}
	channels, err := ParseChannels(content)
	if err != nil {
		return nil, fmt.Errorf("list of channels %s: %w", l.file, err)
	}
	l.content, l.channels = content, channels
	return channels, nil
}

// ParseChannels returns the channels in the content of a file, with defaults. Empty content is an error: it may be a
// file that is just being written.
func ParseChannels(content []byte) ([]ListedChannel, error) {
	encoded, err := toJSON(content)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.DisallowUnknownFields()
	var channels []ListedChannel
	if err := decoder.Decode(&channels); err != nil || channels == nil {
		return nil, errors.New("expected a list of channels, each with server and name, or [] for none")
	}
	if len(channels) > MaxListedChannels {
		return nil, fmt.Errorf("%d channels, expected at most %d", len(channels), MaxListedChannels)
	}
	for i, channel := range channels {
		if channel.Server == "" {
			channel.Server = DefaultServer
		}
		server, name := settings["channel.server"], settings["channel.name"]
		switch {
		case !regexp.MustCompile(server.pattern).MatchString(channel.Server) || !server.valid(channel.Server):
			return nil, fmt.Errorf("[%d].server: %s, expected %s", i, quoteValue(channel.Server), server.expected)
		case !regexp.MustCompile(name.pattern).MatchString(channel.Name):
			return nil, fmt.Errorf("[%d].name: %q, expected %s", i, channel.Name, name.expected)
		}
		channel.Server = strings.ToLower(strings.TrimRight(channel.Server, "/"))
		channels[i] = channel
	}
	return channels, nil
}
