package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// serviceAccount is where the kubelet mounts a pod's token and the cluster's CA.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/"

func get(ctx context.Context, url string) error {
	//nolint:gosec // requesting the given URL is the purpose of this command
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("making a request for %s: %w", url, err)
	}
	if token, err := os.ReadFile(serviceAccount + "token"); err == nil && request.URL.Scheme == "https" {
		request.Header.Set("Authorization", "Bearer "+string(token))
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: clusterCA(),
	}}}
	response, err := client.Do(request) //nolint:gosec // the same
	if err != nil {
		return fmt.Errorf("requesting %s: %w", url, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 300))
	if err != nil {
		return fmt.Errorf("reading the response of %s: %w", url, err)
	}
	fmt.Printf("%s %s\n", response.Status, body)
	return nil
}

// clusterCA returns the CA that signs the API server's certificate, or nil, which stands for the system's CAs, in a pod
// without a service account token.
func clusterCA() *x509.CertPool {
	pem, err := os.ReadFile(serviceAccount + "ca.crt")
	if err != nil {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool
}

func serve(ctx context.Context, address string) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("reading this pod's host name: %w", err)
	}
	respond := func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "this is", host) }
	server := http.Server{Addr: address, Handler: http.HandlerFunc(respond), ReadHeaderTimeout: time.Second}
	stopListening := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stopListening()
	fmt.Println("serving on", address)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving on %s: %w", address, err)
	}
	return nil
}
