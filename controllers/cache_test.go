package controllers

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/controllers/manifests"
)

// Objects of others that carry the operator's label do not fill its memory with files and annotations. What the
// operator writes is cached as a whole, or each reconcile would write it again.
func TestForeignTextsAreNotCached(t *testing.T) {
	long := strings.Repeat("x", maxCachedText+1)
	transform := CacheOptions(nil).DefaultTransform
	foreign := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"a": long, "b": "short"}},
		Data:       map[string]string{"other": "short", "bot.yaml": long},
		BinaryData: map[string][]byte{"bot.yaml": []byte(long)},
	}
	if _, err := transform(foreign); err != nil {
		t.Fatal(err)
	}
	if len(foreign.Data) > 0 || foreign.BinaryData != nil || len(foreign.Annotations) != 1 {
		t.Errorf("cached: %d files, %d binary ones, %d annotations", len(foreign.Data), len(foreign.BinaryData),
			len(foreign.Annotations))
	}
	bot := newBot("fun")
	set, err := manifests.Build(bot, manifests.Params{}, newObserved().Observed)
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for _, desired := range set {
		own, isConfigMap := desired.Object.(*corev1.ConfigMap)
		if !isConfigMap {
			continue
		}
		before := len(own.Data)
		if _, err := transform(own); err != nil {
			t.Fatal(err)
		}
		if len(own.Data) != before {
			t.Errorf("%s: %d of %d files are cached", own.Name, len(own.Data), before)
		}
		files += before
	}
	if files < 4 {
		t.Errorf("only %d files", files)
	}
}
