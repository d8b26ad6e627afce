package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// maxProvenanceBytes is more than a file for ReadProvenance needs.
const maxProvenanceBytes = 4 << 10

// Provenance is what the operator knows about the database of a service: the content of the file that
// Database.ProvenanceFile names.
type Provenance struct {
	// NamespaceUID is the UID of the RoseyBot's namespace. Empty: the operator may not read it.
	NamespaceUID string `json:"namespaceUID,omitempty"`
	// PVCCreated is when the PersistentVolumeClaim with the database was created. Zero: there is none.
	PVCCreated time.Time `json:"pvcCreated,omitzero"`
	// OnlyPVC is true if the RoseyBot has no other PersistentVolumeClaim for rows.
	OnlyPVC bool `json:"onlyPVC,omitempty"`
	// TakeOver is as Database.TakeOver, over which it has precedence. It may be any text.
	TakeOver string `json:"takeOver,omitempty"`
}

// ReadProvenance returns the content of a file for Database.ProvenanceFile.
func ReadProvenance(file string) (Provenance, error) {
	content, err := ReadBoundedFile(file, maxProvenanceBytes)
	if err != nil {
		return Provenance{}, fmt.Errorf("reading where the database comes from: %w", err)
	}
	provenance, err := ParseProvenance(content)
	if err != nil {
		return Provenance{}, fmt.Errorf("reading where the database comes from, %s: %w", file, err)
	}
	return provenance, nil
}

// ParseProvenance returns the Provenance in the content of a file. Keys that are not known are ignored: a newer
// operator may write them.
func ParseProvenance(content []byte) (Provenance, error) {
	encoded, err := toJSON(content)
	if err != nil {
		return Provenance{}, err
	}
	var provenance Provenance
	if err := json.NewDecoder(bytes.NewReader(encoded)).Decode(&provenance); err != nil {
		return Provenance{}, errors.New("expected namespaceUID, pvcCreated, onlyPVC and takeOver")
	}
	return provenance, nil
}
