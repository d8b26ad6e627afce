package web

import (
	"net/http"

	"rosey.dev/rosey/runtime/config"
)

const indexPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Rosey</title>
<h1>Rosey</h1>
<ul>
<li><a href="` + config.StatusPath + `">status</a>: what works and what does not, and why
<li><a href="` + config.MetricsPath + `">metrics</a>: for Prometheus
<li><a href="` + config.ReadyPath + `">ready</a> and <a href="` + config.HealthPath + `">healthy</a>: for probes
</ul>
</html>
`

func index(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, "text/html; charset=utf-8", []byte(indexPage))
}
