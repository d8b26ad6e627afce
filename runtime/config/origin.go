package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// maxOriginBytes is more than a file for ReadOrigin needs.
const maxOriginBytes = 4 << 10

// Origin is what the operator knows about the database of a service: the content of the file that Database.OriginFile
// names.
type Origin struct {
	// NamespaceUID is the UID of the RoseyBot's namespace. Empty: the operator may not read it.
	NamespaceUID string `json:"namespaceUID,omitempty"`
	// PVCCreated is when the PersistentVolumeClaim with the database was created. Zero: there is none.
	PVCCreated time.Time `json:"pvcCreated,omitzero"`
	// OnlyPVC is true if the RoseyBot has no other PersistentVolumeClaim for rows.
	OnlyPVC bool `json:"onlyPVC,omitempty"`
	// TakeOver is as Database.TakeOver, over which it has precedence. It may be any text.
	TakeOver string `json:"takeOver,omitempty"`
}

// ReadOrigin returns the content of a file for Database.OriginFile.
func ReadOrigin(file string) (Origin, error) {
	content, err := readBounded(file, maxOriginBytes)
	if err != nil {
		return Origin{}, fmt.Errorf("reading where the database comes from: %w", err)
	}
	origin, err := ParseOrigin(content)
	if err != nil {
		return Origin{}, fmt.Errorf("reading where the database comes from, %s: %w", file, err)
	}
	return origin, nil
}

// ParseOrigin returns the Origin in the content of a file. Keys that are not known are ignored: a newer operator may
// write them.
func ParseOrigin(content []byte) (Origin, error) {
	encoded, err := toJSON(content)
	if err != nil {
		return Origin{}, err
	}
	var origin Origin
	if err := json.NewDecoder(bytes.NewReader(encoded)).Decode(&origin); err != nil {
		return Origin{}, errors.New("expected namespaceUID, pvcCreated, onlyPVC and takeOver")
	}
	return origin, nil
}
