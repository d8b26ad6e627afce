package config

import "strings"

// ShortHost returns the name of a host in the form that is the same for most of its spellings: in lower case, and that
// of a Kubernetes Service as NAME.NAMESPACE, without ".svc" or the cluster's usual domain behind it. It returns NAME
// alone as it is: only its namespace tells which Service that is.
func ShortHost(host string) string {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	for _, suffix := range []string{".svc.cluster.local", ".svc"} {
		if short, found := strings.CutSuffix(host, suffix); found && strings.Contains(short, ".") {
			return short
		}
	}
	return host
}
