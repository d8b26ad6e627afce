package trivia

import (
	"bufio"
	"bytes"
	_ "embed" // of the questions that are inside
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"rosey.dev/rosey/runtime/plugin"
)

const (
	// maxFiles, maxFileBytes and maxQuestions bound what is read of a directory. What is beyond is left out.
	maxFiles     = 50
	maxFileBytes = 1 << 20
	maxQuestions = 5000
	// maxText, maxAnswer and maxCategory bound a question, in UTF-16 code units, so that it fits into a line.
	maxText     = 220
	maxAnswer   = 80
	maxCategory = 40
	// maxCategories bounds the names of several categories, in UTF-16 code units.
	maxCategories = 200
	// maxAnswers and maxChoices are how many right answers, and how many answers to choose from, a question may have.
	maxAnswers = 20
	maxChoices = 6
)

// question is a question with its answers.
type question struct {
	text, category string
	// answers are right. The first is the one that is told.
	answers []string
	// choices are the answers to choose from, one of which is answers[0]. Empty: people have to know it.
	choices []string
	// level is 1 for an easy one, 2, or 3 for a hard one.
	level int
}

//go:embed questions.txt
var inside string

// check returns what is wrong with a question.
func (q question) check() error {
	switch {
	case !isLine(q.text, maxText):
		return fmt.Errorf("question: expected 1 to %d printable characters", maxText)
	case plugin.Cut(q.category, maxCategory) != q.category || strings.ContainsFunc(q.category, unicode.IsControl):
		return fmt.Errorf("category: expected at most %d printable characters", maxCategory)
	case len(q.answers) == 0 || len(q.answers) > maxAnswers:
		return fmt.Errorf("%d right answers, expected 1 to %d", len(q.answers), maxAnswers)
	case len(q.choices) > maxChoices:
		return fmt.Errorf("%d answers to choose from, expected at most %d", len(q.choices), maxChoices)
	}
	for _, answer := range slices.Concat(q.answers, q.choices) {
		if !isLine(answer, maxAnswer) {
			return fmt.Errorf("answer: expected 1 to %d printable characters", maxAnswer)
		}
	}
	if choices := q.choicesLine(); plugin.Cut(choices, plugin.MaxLength) != choices {
		return fmt.Errorf("answers to choose from: expected at most %d characters together", plugin.MaxLength)
	}
	return nil
}

func isLine(text string, most int) bool {
	return text != "" && plugin.Cut(text, most) == text && !strings.ContainsFunc(text, unicode.IsControl)
}

// choicesLine returns the answers to choose from with their letters. Empty: there are none.
func (q question) choicesLine() string {
	var parts []string
	for i, choice := range q.choices {
		parts = append(parts, fmt.Sprintf("%s) %s", letter(i), choice))
	}
	return strings.Join(parts, "  ")
}

// letter returns the letter of a choice, of which there are at most maxChoices.
func letter(i int) string { return "ABCDEF"[i : i+1] }

// questions is what was read.
type questions struct {
	all []question
	// leftOut are how many questions and files were left out, and why says it of the first one.
	leftOut int
	why     string
}

func (q *questions) leaveOut(where string, err error) {
	if q.leftOut++; q.leftOut == 1 {
		q.why = fmt.Sprintf("%s: %v", where, err)
	}
}

// errEnough means that there are as many questions as there may be.
var errEnough = fmt.Errorf("expected at most %d questions", maxQuestions)

func (q *questions) add(where string, one question) {
	err := one.check()
	if err == nil && len(q.all) >= maxQuestions {
		err = errEnough
	}
	if err != nil {
		q.leaveOut(where, err)
		return
	}
	q.all = append(q.all, one)
}

// addText adds the questions of a text: one a line, as question|answer|another right answer. A line in brackets is the
// category of those below it, and one that begins with # is a comment.
func (q *questions) addText(name, category, text string) {
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, maxFileBytes+1)
	for number := 1; lines.Scan(); number++ {
		where := fmt.Sprintf("%s line %d", name, number)
		line := tidy(lines.Text())
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
			category = tidy(line[1 : len(line)-1])
		default:
			one, err := parseLine(line)
			if err != nil {
				q.leaveOut(where, err)
				continue
			}
			one.category = category
			q.add(where, one)
		}
	}
	if err := lines.Err(); err != nil {
		q.leaveOut(name, err)
	}
}

func parseLine(line string) (question, error) {
	parts := strings.Split(line, "|")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	if len(parts) < 2 {
		return question{}, errors.New("expected question|answer")
	}
	return question{text: parts[0], answers: parts[1:], level: 1}, nil
}

// tidy returns a text without the spaces around it, and single ones within.
func tidy(text string) string { return strings.Join(strings.Fields(text), " ") }

// entry is a question in the form of the Open Trivia Database. Its texts have HTML entities.
type entry struct {
	Category   string   `json:"category"`
	Difficulty string   `json:"difficulty"` // easy, medium or hard
	Question   string   `json:"question"`
	Correct    string   `json:"correct_answer"`
	Incorrect  []string `json:"incorrect_answers"`
}

func (e entry) question() question {
	one := question{
		text: plain(e.Question), category: plain(e.Category), answers: []string{plain(e.Correct)},
		level: map[string]int{"medium": 2, "hard": 3}[e.Difficulty],
	}
	if one.level == 0 {
		one.level = 1
	}
	if len(e.Incorrect) == 0 {
		return one
	}
	one.choices = []string{one.answers[0]}
	for _, wrong := range e.Incorrect {
		one.choices = append(one.choices, plain(wrong))
	}
	return one
}

func plain(text string) string { return tidy(html.UnescapeString(text)) }

// addJSON adds the questions of an answer of the Open Trivia Database, or of a list of its questions.
func (q *questions) addJSON(name string, data []byte) {
	var entries []entry
	var err error
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '[' {
		err = json.Unmarshal(data, &entries)
	} else {
		var answer struct {
			Results []entry `json:"results"`
		}
		err = json.Unmarshal(data, &answer)
		entries = answer.Results
	}
	if err != nil {
		q.leaveOut(name, fmt.Errorf("expected JSON in the form of the Open Trivia Database: %w", err))
		return
	}
	for i, one := range entries {
		q.add(fmt.Sprintf("%s results[%d]", name, i), one.question())
	}
}

// load returns the questions of the settings: those of the directory and of the texts, by category, or else those that
// are inside.
func load(directory string, texts map[string]string) (questions, error) {
	var q questions
	if directory != "" {
		if err := q.addDirectory(directory); err != nil {
			return q, err
		}
	}
	for _, category := range slices.Sorted(maps.Keys(texts)) {
		q.addText("the setting questions."+category, category, texts[category])
	}
	if directory == "" && len(texts) == 0 {
		q.addText("questions.txt", "", inside)
	}
	return q, nil
}

// addDirectory adds the questions of the files of a directory that end in .txt and .json.
func (q *questions) addDirectory(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("reading the questions: %w", err)
	}
	files := 0
	for _, entry := range entries {
		name := entry.Name()
		kind := filepath.Ext(name)
		if strings.HasPrefix(name, ".") || kind != ".txt" && kind != ".json" {
			continue
		}
		if files++; files > maxFiles {
			q.leaveOut(name, fmt.Errorf("expected at most %d files", maxFiles))
			continue
		}
		data, err := read(filepath.Join(path, name))
		switch {
		case err != nil:
			q.leaveOut(name, err)
		case kind == ".json":
			q.addJSON(name, data)
		default:
			q.addText(name, strings.TrimSuffix(name, kind), string(data))
		}
	}
	return nil
}

// read returns the content of a file. A pipe would be waited for without an end.
func read(path string) ([]byte, error) {
	if about, err := os.Stat(path); err != nil || !about.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("expected a file"))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the questions: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err == nil && len(data) > maxFileBytes {
		err = fmt.Errorf("expected at most %d bytes", maxFileBytes)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the questions: %w", err)
	}
	return data, nil
}

// checkDirectory returns what is wrong with the value of the setting.
func checkDirectory(path string) error {
	about, err := os.Stat(path)
	switch {
	case path == "":
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("expected a directory that exists")
	case err != nil || !about.IsDir():
		return errors.New("expected a directory that can be read")
	}
	return nil
}

// checkText returns what is wrong with questions in the settings.
func checkText(text string) error {
	var q questions
	q.addText("questions", "", text)
	if q.leftOut > 0 {
		return errors.New(q.why)
	}
	return nil
}

// inCategory returns the questions whose category has a text in its name. Empty: all of them.
func inCategory(all []question, text string) []question {
	wanted := normal(text)
	return slices.DeleteFunc(slices.Clone(all), func(one question) bool {
		return !strings.Contains(normal(one.category), wanted)
	})
}

// categories returns the names of the categories of questions as a text.
func categories(of []question) string {
	var names []string
	for _, one := range of {
		if one.category != "" {
			names = append(names, one.category)
		}
	}
	slices.Sort(names)
	return plugin.Cut(strings.Join(slices.Compact(names), ", "), maxCategories)
}
