package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are those of the pages. No label has a value that a stranger chooses.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  prometheus.Histogram
	logins   *prometheus.CounterVec
}

// The outcomes of a token that somebody has presented.
const (
	loginRight   = "right"
	loginWrong   = "wrong"
	loginLimited = "limited"
)

// newMetrics registers the metrics. A nil registerer: they are counted and not shown. streams returns the number of
// open pages.
func newMetrics(registerer prometheus.Registerer, streams func() int) *metrics {
	register := promauto.With(registerer)
	register.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rosey_web_streams", Help: "Pages that are open and live.",
	}, func() float64 { return float64(streams()) })
	m := &metrics{
		requests: register.NewCounterVec(prometheus.CounterOpts{
			Name: "rosey_web_requests_total",
			Help: "Responses of the pages, by route and class of the code: 2xx, 3xx, 4xx or 5xx. " +
				"Open pages count when they end.",
		}, []string{"route", "code"}),
		seconds: register.NewHistogram(prometheus.HistogramOpts{
			Name: "rosey_web_request_seconds", Help: "Time that a response of the pages took, without live pages.",
			Buckets: []float64{.005, .02, .05, .1, .2, .5, 1, 2, 5},
		}),
		logins: register.NewCounterVec(prometheus.CounterOpts{
			Name: "rosey_web_sign_ins_total",
			Help: "Tokens that people presented, by outcome: right, wrong, or limited where too many were wrong.",
		}, []string{"outcome"}),
	}
	for _, outcome := range []string{loginRight, loginWrong, loginLimited} {
		m.logins.WithLabelValues(outcome)
	}
	return m
}

// count counts the responses of a route.
func (m *metrics) count(pattern string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		coded := &codeWriter{ResponseWriter: w, code: http.StatusOK}
		next.ServeHTTP(coded, r)
		m.requests.WithLabelValues(pattern, strconv.Itoa(coded.code/100)+"xx").Inc()
		if pattern != livePattern {
			m.seconds.Observe(time.Since(begin).Seconds())
		}
	})
}
