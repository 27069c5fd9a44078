package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// ready is the one line on stdout that tells automation that all is serving.
// Addresses are as bound, host:port; dashboard and login are URLs. What a
// process does not serve is empty.
type ready struct {
	API       string `json:"api"`
	Dashboard string `json:"dashboard"`
	HTTP      string `json:"http"`
	HTTPS     string `json:"https"`
	DNS       string `json:"dns"`
	Login     string `json:"login"`
	// Edges lists every edge of this process; HTTP, HTTPS and DNS above are the
	// first one's.
	Edges []readyEdge `json:"edges,omitempty"`
	PID   int         `json:"pid"`
}

type readyEdge struct {
	ID        string `json:"id"`
	Region    string `json:"region"`
	HTTP      string `json:"http"`
	HTTPS     string `json:"https"`
	DNS       string `json:"dns"`
	Simulated bool   `json:"simulated"`
}

// print writes the line.
func (r ready) print(w io.Writer) error {
	r.PID = os.Getpid()
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "READY %s\n", b)
	return err
}
