package cli

import (
	"fmt"
	"runtime"
)

type versionCommand struct{}

func (versionCommand) Help() string {
	return examples("edgewright version", "edgewright version -o json")
}

type versionAnswer struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

func (versionCommand) Run(a *app) error {
	v := versionAnswer{a.version(), runtime.Version(), runtime.GOOS, runtime.GOARCH}
	return a.show(v, func() { fmt.Fprintf(a.out, "edgewright %s %s %s/%s\n", v.Version, v.Go, v.OS, v.Arch) })
}

type openapiCommand struct {
	Live bool `help:"That of the running control plane, in place of this binary's own."`
}

func (openapiCommand) Help() string {
	return examples("edgewright openapi > openapi.json", "edgewright openapi --live")
}

func (c *openapiCommand) Run(a *app) error {
	var document []byte
	if c.Live {
		cl, err := a.client()
		if err != nil {
			return err
		}
		raw, err := cl.OpenAPI(a.ctx)
		if err != nil {
			return err
		}
		document = append(raw, '\n')
	} else {
		if a.servers.OpenAPI == nil {
			return absent("openapi")
		}
		var err error
		if document, err = a.servers.OpenAPI(); err != nil {
			return err
		}
	}
	_, err := a.out.Write(document)
	return err
}
