package store

import (
	"encoding/json"
	"fmt"
)

// Fields are the told fields of a status by their stored names, as JSON. Each is stored by itself,
// because each has a last writer of its own.
func (s Status) Fields() (map[string]string, error) {
	encoded, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encoding a status: %w", err)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(encoded, &raw); err != nil {
		return nil, fmt.Errorf("splitting a status: %w", err)
	}
	fields := make(map[string]string, len(raw))
	for name, value := range raw {
		fields[name] = string(value)
	}
	return fields, nil
}

// StatusFromFields is the opposite of Fields. Fields that a later version stored are left out.
func StatusFromFields(fields map[string]string) (Status, error) {
	raw := make(map[string]json.RawMessage, len(fields))
	for name, value := range fields {
		raw[name] = json.RawMessage(value)
	}
	encoded, err := json.Marshal(raw)
	if err != nil {
		return Status{}, fmt.Errorf("joining a stored status: %w", err)
	}
	var status Status
	if err := json.Unmarshal(encoded, &status); err != nil {
		return Status{}, fmt.Errorf("decoding a stored status: %w", err)
	}
	return status, nil
}
