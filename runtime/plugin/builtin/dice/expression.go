package dice

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// limits bound a roll.
type limits struct{ dice, sides int }

// term is a part of a roll: dice, of which some are kept, or a number.
type term struct {
	sign               int // 1 or -1
	count, sides, keep int // keep < 0: the lowest are kept
	number             int // if sides is 0
}

const (
	// maxTerms is how many parts a roll may have, and maxNumber the largest number that is added.
	maxTerms, maxNumber = 10, 1_000_000
)

var (
	termPattern = regexp.MustCompile(`^([+-]?)(?:(adv|dis)|(\d{0,4})d(\d{1,7}|%)(?:(kh|kl|k)(\d{0,4}))?|(\d{1,7}))`)
	errNoDice   = errors.New(`expected dice such as d20, 2d6+3, 4d6kh3, adv or dis`)
)

// parse returns the parts of a roll, in lower case and without spaces.
func parse(text string, most limits) (terms []term, err error) {
	dice := 0
	for rest := text; rest != ""; {
		parts := termPattern.FindStringSubmatch(rest)
		if parts == nil || parts[1] == "" && len(terms) > 0 {
			return nil, errNoDice
		}
		rest = rest[len(parts[0]):]
		one, err := newTerm(parts, most)
		if err != nil {
			return nil, err
		}
		dice += one.count
		if terms = append(terms, one); len(terms) > maxTerms {
			return nil, fmt.Errorf("expected at most %d parts", maxTerms)
		}
	}
	switch {
	case dice == 0:
		return nil, errNoDice
	case dice > most.dice:
		return nil, fmt.Errorf("%d dice, expected at most %d", dice, most.dice)
	}
	return terms, nil
}

// newTerm returns the part that termPattern has matched.
func newTerm(parts []string, most limits) (term, error) {
	sign := map[string]int{"": 1, "+": 1, "-": -1}[parts[1]]
	switch {
	case parts[2] == "adv":
		return term{sign: sign, count: 2, sides: 20, keep: 1}, nil
	case parts[2] == "dis":
		return term{sign: sign, count: 2, sides: 20, keep: -1}, nil
	case parts[7] == "":
		return newDice(sign, parts, most)
	}
	value := number(parts[7], 0)
	if value > maxNumber {
		return term{}, fmt.Errorf("%d, expected at most %d", value, maxNumber)
	}
	return term{sign: sign, number: value}, nil
}

// number returns the number of a few digits, or otherwise if there are none.
func number(digits string, otherwise int) int {
	if value, err := strconv.Atoi(digits); err == nil {
		return value
	}
	return otherwise
}

// newDice is newTerm for dice.
func newDice(sign int, parts []string, most limits) (term, error) {
	one := term{sign: sign, count: number(parts[3], 1), sides: number(parts[4], 100)} // d% has 100 sides
	one.keep = one.count
	if parts[5] != "" {
		one.keep = number(parts[6], 1)
	}
	switch {
	case one.sides < 1 || one.sides > most.sides:
		return one, fmt.Errorf("dice with %d sides, expected 1 to %d", one.sides, most.sides)
	case one.count < 1 || one.count > most.dice:
		return one, fmt.Errorf("%d dice, expected 1 to %d", one.count, most.dice)
	case one.keep < 1 || one.keep > one.count:
		return one, fmt.Errorf("%d of %d dice, expected to keep 1 to %d", one.keep, one.count, one.count)
	}
	if parts[5] == "kl" {
		one.keep = -one.keep
	}
	return one, nil
}

// roll returns the value of a part, and each die as it is shown: one that is not kept is in parentheses.
func (t term) roll() (value int, shown []string) {
	if t.sides == 0 {
		return t.sign * t.number, nil
	}
	dice, order := make([]int, t.count), make([]int, t.count)
	for i := range dice {
		dice[i], order[i] = 1+random(t.sides), i
	}
	// The order of those that are equal does not matter: they count the same.
	slices.SortStableFunc(order, func(a, b int) int { return dice[b] - dice[a] })
	kept := order[:max(t.keep, 0)]
	if t.keep < 0 {
		kept = order[len(order)+t.keep:]
	}
	for i, die := range dice {
		if slices.Contains(kept, i) {
			value += die
			shown = append(shown, strconv.Itoa(die))
			continue
		}
		shown = append(shown, "("+strconv.Itoa(die)+")")
	}
	return t.sign * value, shown
}
