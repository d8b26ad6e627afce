package config

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
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

// decodeText returns the content of a file that a person has written as UTF-8 without a byte order mark. With the mark
// a password would be another one.
func decodeText(content []byte) ([]byte, error) {
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

// beforeContent matches the lines at the beginning of a YAML file without content: empty ones, comments, and the
// markers of documents without content.
var beforeContent = regexp.MustCompile(`\A(?:(?:---|\.\.\.)?[ \t]*(?:#[^\n]*)?\r?\n)+`)

// toJSON returns the one document of a YAML or JSON file as JSON. Programs that write YAML put markers before, behind
// and between documents; those without content do not count. A key that occurs twice is an error, and so is anything
// behind the document: it would have no effect, and nobody would notice.
func toJSON(content []byte) ([]byte, error) {
	text, err := decodeText(content)
	if err != nil {
		return nil, err
	}
	begin := beforeContent.Find(text) // replaced by empty lines, since errors name lines
	text = append(bytes.Repeat([]byte("\n"), bytes.Count(begin, []byte("\n"))), text[len(begin):]...)
	encoded, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, errors.New(syntaxProblem(err))
	}
	decoder := goyaml.NewDecoder(bytes.NewReader(text))
	for document := 1; ; document++ {
		var value any
		err = decoder.Decode(&value)
		if errors.Is(err, io.EOF) {
			return encoded, nil
		}
		if err != nil || document > 1 && value != nil {
			break
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
