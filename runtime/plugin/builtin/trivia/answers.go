package trivia

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// letters are those that Unicode does not decompose.
var letters = strings.NewReplacer("ß", "ss", "ø", "o", "æ", "ae", "œ", "oe", "ł", "l", "đ", "d", "ð", "d", "þ", "th",
	"ı", "i", "&", " and ")

// articles do not count in an answer.
var articles = []string{"the", "a", "an"}

// normal returns a text in the form in which answers are compared: in lower case, without accents, punctuation, spaces,
// and the articles of English.
func normal(text string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(letters.Replace(strings.ToLower(text))) {
		switch {
		case unicode.IsLetter(r) || unicode.IsNumber(r):
			b.WriteRune(unicode.ToLower(r))
		case unicode.Is(unicode.Mn, r) || r == '\'' || r == '’' || r == '`':
			// Accents, and what is within a word.
		default:
			b.WriteByte(' ')
		}
	}
	words := strings.Fields(b.String())
	without := slices.DeleteFunc(slices.Clone(words), func(word string) bool { return slices.Contains(articles, word) })
	switch {
	case len(words) == 0: // nothing but punctuation
		return tidy(strings.ToLower(text))
	case len(without) == 0:
		return strings.Join(words, "")
	}
	return strings.Join(without, "")
}

// isRight reports whether an answer is one of the right ones.
func (q question) isRight(answer string) bool {
	given := normal(answer)
	return given != "" && slices.ContainsFunc(q.answers, func(right string) bool { return normal(right) == given })
}

// chosen returns which of the choices an answer is: its text or its letter. -1: none.
func (q question) chosen(answer string) int {
	given := normal(answer)
	if at := slices.IndexFunc(q.choices, func(choice string) bool { return normal(choice) == given }); at >= 0 {
		return at
	}
	for i := range q.choices {
		if strings.ToLower(letter(i)) == given {
			return i
		}
	}
	return -1
}

// hidden stands for a letter that is not shown.
const hidden = '•'

// hint returns the answer with some of its letters: with the first, and for the second hint with every other one. Of
// short answers it shows less.
func hint(answer string, number int) string {
	all := []rune(answer)
	var letters []int // where they are
	for i, r := range all {
		if unicode.IsLetter(r) || unicode.IsNumber(r) {
			letters = append(letters, i)
		}
	}
	for i, at := range letters {
		if !isShown(i, len(letters), number) {
			all[at] = hidden
		}
	}
	return string(all)
}

// isShown reports whether a hint shows a letter of an answer with so many letters.
func isShown(letter, count, number int) bool {
	switch {
	case count < 2 || count < 4 && number == 1:
		return false
	case count < 4 || number == 1:
		return letter == 0
	}
	return letter%2 == 0
}
