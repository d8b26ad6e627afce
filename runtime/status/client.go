package status

import (
	"net/http"
	"net/url"
	"time"
)

const (
	// fetchTimeout bounds a request for a report.
	fetchTimeout = 2 * time.Second
	// maxReportHeader bounds the header of a response. Go's default is 10 MB.
	maxReportHeader = 16 << 10
)

// NewClient returns an HTTP client for FetchReport. Whatever answers may not be a process of the runtime: the client
// follows no redirect, and bounds the time and the header of a response. proxy is that of http.Transport; nil: none.
func NewClient(proxy func(*http.Request) (*url.URL, error)) *http.Client {
	return &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			Proxy: proxy, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxReportHeader,
		},
		// An image chosen by a user must not be able to redirect the operator to another server.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
