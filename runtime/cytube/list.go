package cytube

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// lists are the events whose argument is a list that can be longer than maxRaw. They are decoded while they are read.
var lists = map[string]func(*elements) (Event, error){
	"userlist": userList,
	"playlist": playlistOf,
}

// elements reads the elements of a JSON array one at a time.
type elements struct {
	decoder *json.Decoder
	source  *boundedReader
}

func newElements(from io.Reader) *elements {
	source := &boundedReader{from: from}
	return &elements{decoder: json.NewDecoder(source), source: source}
}

var errTooLong = errors.New("longer than CyTube sends")

// boundedReader returns errTooLong after left bytes.
type boundedReader struct {
	from io.Reader
	left int
}

func (r *boundedReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, errTooLong
	}
	n, err := r.from.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err //nolint:wrapcheck // as a reader does
}

// begin reads the beginning of an array.
func (e *elements) begin() error {
	e.source.left = maxElement
	token, err := e.decoder.Token()
	if err != nil {
		return fmt.Errorf("decoding the beginning of a list: %w", err)
	}
	if token != json.Delim('[') {
		return errors.New("decoding a list: not an array")
	}
	return nil
}

// next decodes the next element, and reports whether there was one.
func (e *elements) next(into any) (bool, error) {
	e.source.left = maxElement
	if !e.decoder.More() {
		_, err := e.decoder.Token() // the end of the array
		if err != nil {
			return false, fmt.Errorf("decoding the end of a list: %w", err)
		}
		return false, nil
	}
	if err := e.decoder.Decode(into); err != nil {
		return false, fmt.Errorf("decoding an element of a list: %w", err)
	}
	return true, nil
}

// collect decodes a list of Wire and returns as many of the converted elements as may be kept.
func collect[Wire, Kept any](from *elements, convert func(Wire) Kept, textSize func(Kept) int) ([]Kept, error) {
	if err := from.begin(); err != nil {
		return nil, err
	}
	kept, text := []Kept{}, 0
	for {
		var wire Wire
		more, err := from.next(&wire)
		if !more || err != nil {
			return kept, err
		}
		if len(kept) == maxItems {
			continue // the rest must be valid too
		}
		element := convert(wire)
		if text += textSize(element); text <= maxListText {
			kept = append(kept, element)
		}
	}
}

func userList(from *elements) (Event, error) {
	users, err := collect(from, wireUser.user, func(u User) int { return len(u.Name) })
	return UserList{Users: users}, err
}

func playlistOf(from *elements) (Event, error) {
	items, err := collect(from, wireItem.item, Item.textSize)
	return Playlist{Items: items}, err
}

// listed returns the decoder of a list that was read as a whole.
func listed(name string) decoder {
	return func(argument json.RawMessage) (Event, error) {
		return lists[name](newElements(bytes.NewReader(argument)))
	}
}

// decodeLongList decodes the payload of an event packet whose argument is a list, while it is read. What follows the
// list in the payload is ignored.
func decodeLongList(name string, payload io.Reader) (ReceivedEvent, error) {
	from := newElements(payload)
	if err := from.begin(); err != nil {
		return ReceivedEvent{}, err
	}
	var again string // the name, which the caller has seen
	if _, err := from.next(&again); err != nil {
		return ReceivedEvent{}, err
	}
	event, err := lists[name](from)
	return ReceivedEvent{Name: name, Event: event}, err
}
