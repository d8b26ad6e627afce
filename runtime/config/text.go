package config

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"

	goyaml "go.yaml.in/yaml/v2"
	"sigs.k8s.io/yaml"
)

// The byte order marks that editors write in front of a text, Windows' above all.
var (
	utf8Mark    = []byte{0xEF, 0xBB, 0xBF}
	utf16LEMark = []byte{0xFF, 0xFE}
	utf16BEMark = []byte{0xFE, 0xFF}
)

// plainText returns the content of a file that a person has written as UTF-8 without a byte order mark. With the mark a
// password would be another one.
func plainText(content []byte) ([]byte, error) {
	if text, marked := bytes.CutPrefix(content, utf8Mark); marked {
		return text, nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	text, marked := bytes.CutPrefix(content, utf16LEMark)
	if !marked {
		if text, marked = bytes.CutPrefix(content, utf16BEMark); !marked {
			return content, nil
		}
		order = binary.BigEndian
	}
	if len(text)%2 != 0 {
		return nil, errors.New("expected a text in UTF-8: it begins as one in UTF-16, and half a character is at its end")
	}
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = order.Uint16(text[2*i:])
	}
	return []byte(string(utf16.Decode(units))), nil
}

// toJSON returns the one document of a YAML or JSON file as JSON. A key that occurs twice is an error, and so is
// anything behind the document: it would have no effect, and nobody would notice.
func toJSON(content []byte) ([]byte, error) {
	text, err := plainText(content)
	if err != nil {
		return nil, err
	}
	encoded, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, errors.New(syntaxProblem(err))
	}
	decoder := goyaml.NewDecoder(bytes.NewReader(text))
	var ignored any
	for range 2 {
		if err = decoder.Decode(&ignored); errors.Is(err, io.EOF) {
			return encoded, nil
		}
	}
	where := ""
	if err != nil {
		where = syntaxLine.FindString(err.Error())
	}
	if where != "" {
		where += ": "
	}
	return nil, fmt.Errorf("%sexpected nothing behind the first document", where)
}
