package web

import (
	"html/template"
	"net/url"
)

// pageLinks leads to the other pages of a list.
type pageLinks struct {
	// Label is what the list has more of, for who cannot see where the links are.
	Label string
	// First and Next are URLs relative to the root of the pages. Empty: there is no such page.
	First, Next template.URL
}

// linkPages returns the links of one page of a list at a path below the root. values are the part of the query that all
// pages of the list have in common, and place is the parameter that differs: at is that of this page, empty on the
// first, and next that of the page behind it, empty on the last.
func linkPages(label, path string, values url.Values, place, at, next string) (links pageLinks) {
	links.Label = label
	if at != "" {
		links.First = urlOf(path, values)
	}
	if next != "" {
		values.Set(place, next)
		links.Next = urlOf(path, values)
	}
	return links
}

// urlOf returns a URL relative to the root of the pages.
func urlOf(path string, values url.Values) template.URL {
	if len(values) == 0 {
		return template.URL(path) //nolint:gosec // a constant
	}
	return template.URL(path+"?") + queryOf(values) //nolint:gosec // a constant, and escaped
}
