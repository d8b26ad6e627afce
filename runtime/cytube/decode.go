package cytube

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
)

// decodeEvent reads an event packet's payload and returns its argument too. A name that is not known is
// an Unknown, not an error: the server has some sixty events and gets new ones. The error is a *FrameError.
func decodeEvent(payload []byte) (Event, json.RawMessage, error) {
	name, argument, err := splitEvent(payload)
	if err != nil {
		return nil, nil, err
	}
	decode, known := decoders[name]
	if !known {
		return Unknown{Name: name, Size: len(argument)}, argument, nil
	}
	event, err := decode(argument)
	if err != nil {
		return nil, nil, &FrameError{Kind: name, Size: len(argument)}
	}
	return event, argument, nil
}

// decoders are those of the files decode_….go together.
var decoders = merged(peopleDecoders, playlistDecoders, channelDecoders, refusalDecoders)

type decoder = func(json.RawMessage) (Event, error)

func merged(parts ...map[string]decoder) map[string]decoder {
	all := map[string]decoder{}
	for _, part := range parts {
		maps.Copy(all, part)
	}
	return all
}

// as makes a decoder out of the shape of an event's argument and how the event is made from it.
func as[Wire any](event func(Wire) Event) decoder {
	return func(argument json.RawMessage) (Event, error) {
		var wire *Wire
		if err := json.Unmarshal(argument, &wire); err != nil {
			return nil, fmt.Errorf("decoding the argument: %w", err)
		}
		if wire == nil {
			return nil, errors.New("decoding the argument: it is null")
		}
		return event(*wire), nil
	}
}
