package api

import (
	"os"
	"testing"
)

func TestOpenAPI(t *testing.T) {
	doc, err := OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	if path := os.Getenv("EDGEWRIGHT_OPENAPI_OUT"); path != "" {
		if err := os.WriteFile(path, doc, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
