package api

import (
	_ "embed"
	"encoding/json"
	"net/http"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var openapiYAML []byte

// A document is the description of this API, in two forms.
type document struct {
	asYAML, asJSON []byte
}

// loadDocument panics if the document is not YAML: it is part of the program.
func loadDocument() *document {
	var tree any
	if err := yaml.Unmarshal(openapiYAML, &tree); err != nil {
		panic("api: openapi.yaml: " + err.Error())
	}
	asJSON, err := json.Marshal(tree)
	if err != nil {
		panic("api: openapi.yaml: " + err.Error())
	}
	return &document{asYAML: openapiYAML, asJSON: append(asJSON, '\n')}
}

func (d *document) yaml(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/yaml")
	w.Write(d.asYAML)
	return nil
}

func (d *document) json(w http.ResponseWriter, _ *http.Request) error {
	write(w, http.StatusOK, d.asJSON)
	return nil
}
