package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
)

// The scripts of others come by hack/web/update, with their licences beside them.
//
//go:embed assets
var assetFiles embed.FS

// asset is a script or a style. Its URL has a hash of its content, so that browsers may keep it for ever.
type asset struct {
	contentType string
	plain, gzip []byte
}

// assetTypes are the types of the files that are served. Others, such as licences, are not.
var assetTypes = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
}

// assets are all scripts and styles by the names in their URLs, and these names by the names of the files.
type assets struct {
	served map[string]asset
	names  map[string]string
}

// hashLength is how many characters of its hash the URL of an asset has.
const hashLength = 12

// loadAssets compresses each file once.
var loadAssets = sync.OnceValues(func() (assets, error) {
	loaded := assets{served: map[string]asset{}, names: map[string]string{}}
	entries, err := fs.ReadDir(assetFiles, "assets")
	if err != nil {
		return loaded, fmt.Errorf("reading the embedded files: %w", err)
	}
	for _, entry := range entries {
		contentType := assetTypes[path.Ext(entry.Name())]
		if contentType == "" {
			continue
		}
		content, err := assetFiles.ReadFile("assets/" + entry.Name())
		if err != nil {
			return loaded, fmt.Errorf("reading the embedded file %s: %w", entry.Name(), err)
		}
		var compressed bytes.Buffer
		writer, _ := gzip.NewWriterLevel(&compressed, gzip.BestCompression) // the level is valid
		_, err = writer.Write(content)
		if err == nil {
			err = writer.Close()
		}
		if err != nil {
			return loaded, fmt.Errorf("compressing the embedded file %s: %w", entry.Name(), err)
		}
		sum := sha256.Sum256(content)
		extension := path.Ext(entry.Name())
		name := strings.TrimSuffix(entry.Name(), extension) + "." + hex.EncodeToString(sum[:])[:hashLength] + extension
		loaded.served[name] = asset{contentType: contentType, plain: content, gzip: compressed.Bytes()}
		loaded.names[entry.Name()] = name
	}
	return loaded, nil
})

// assetDir is the path of the assets below the root.
const assetDir = "assets/"

// assetURL returns the relative URL of a file in assets below the root of the pages.
func assetURL(name string) (string, error) {
	loaded, err := loadAssets()
	if err != nil {
		return "", err
	}
	hashed, found := loaded.names[name]
	if !found {
		return "", fmt.Errorf("no embedded file %s", name)
	}
	return assetDir + hashed, nil
}

func (s *Server) assetPages() []page {
	return []page{{"GET /" + assetDir + "{name}", ForAll, s.serveAsset}}
}

func (s *Server) serveAsset(w http.ResponseWriter, r *http.Request) {
	loaded, err := loadAssets()
	file, found := loaded.served[r.PathValue("name")]
	if err != nil || !found {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Type", file.contentType)
	header.Set("Cache-Control", "public, max-age=31536000, immutable")
	header.Set("Vary", "Accept-Encoding")
	body := file.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		header.Set("Content-Encoding", "gzip")
		body = file.gzip
	}
	_, _ = w.Write(body) // it fails if the client has gone away
}
