# The two commands a newcomer needs are `make up` and `make test`.
SHELL := /bin/bash
.DEFAULT_GOAL := help

BIN     := bin/edgewright
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
# The same flags for every command: each package is compiled once for the binary and once, with -race, for the tests.
export GOFLAGS := -trimpath $(filter-out -trimpath,$(shell go env GOFLAGS))
# Arguments for `make up`, for example: make up ARGS='--regions fra,iad,sin'
ARGS    ?=

up: build ## build everything and start it with the demo site
	$(BIN) up --demo $(ARGS)

build: web/dist/index.html ## build the dashboard and bin/edgewright
	go build -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/edgewright

WEB_SOURCES := $(shell find web/src web/public web/index.html web/vite.config.ts web/package.json -type f 2>/dev/null)
web/dist/index.html: web/node_modules/.installed $(WEB_SOURCES)
	cd web && npm run --silent build

# Not npm ci: it refuses a lock file without the optional binaries of other platforms,
# which not every registry carries. --no-save leaves the lock file as it is.
web/node_modules/.installed: web/package-lock.json
	cd web && npm install --no-save --ignore-scripts --no-audit --no-fund --silent
	@touch $@

# SQLite is C made into Go, with its memory outside Go's: looking at each of its accesses finds nothing
# of ours and takes up to two fifths of the time of the tests on it.
RACE = -race -gcflags=modernc.org/sqlite/lib=-race=false

# Tests wait a good part of their time: more packages at once than processors.
PACKAGES = $(shell expr $$(getconf _NPROCESSORS_ONLN) \* 3 / 2)

test: ## all tests: Go with the race detector on both databases, web, end to end in the browser
	@$(MAKE) --no-print-directory -j3 --output-sync=target needs compile check-format check-web
	@$(MAKE) --no-print-directory build
	go test $(RACE) -vet=all -timeout 15m -p $(PACKAGES) ./...
	$(MAKE) --no-print-directory e2e

# What the binary is made of but the dashboard, while that is fetched and built.
compile:
	@go build ./control/... ./edge/... ./cli/...

check-web: web/node_modules/.installed web/dist/index.html
	@cd web && npm run --silent typecheck && npm run --silent lint && npm run --silent test

e2e: build ## end-to-end tests of the dashboard in Chromium
	cd web && EDGEWRIGHT_BIN=$(CURDIR)/$(BIN) npm run --silent e2e

check-format:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$unformatted" ]; then echo "not formatted; run make fmt:"; echo "$$unformatted"; exit 1; fi

check-go: check-format
	go vet -race ./...

check: check-go lint gen-check ## formatting, vet, lint, generated files up to date

lint: bin/tools/golangci-lint
	bin/tools/golangci-lint run

bin/tools/%: tools/go.mod tools/go.sum
	@mkdir -p bin/tools
	cd tools && go build -o ../bin/tools/ $$(go list -f '{{.ImportPath}}' tool | grep '/$*$$')

gen: web/node_modules/.installed ## regenerate what is made from the Go types: the dashboard's types of the API
	cd web && npm run --silent gen >/dev/null

gen-check: gen
	@git diff --exit-code --stat -- web/src/api/schema.d.ts || { echo "the generated types are out of date: commit what make gen made"; exit 1; }

bench: build ## side by side with nginx, HAProxy, Caddy and Varnish; writes bench/results/
	go run ./bench $(ARGS)

# ip-location-db: countries by WHOIS and ASN, in the public domain (CC0 1.0).
GEO_PACKAGE := @ip-location-db/geo-whois-asn-country-mmdb
geo-db: ## fetch a country database for DNS steering: up --geo-db bin/geo.mmdb
	@mkdir -p bin/geo && cd bin/geo && tar xzf "$$(npm pack --silent $(GEO_PACKAGE))"
	cp bin/geo/package/*country.mmdb bin/geo.mmdb && rm -r bin/geo

fuzz: ## every fuzz target for FUZZTIME (default 30s) each
	@for p in $$(grep -rl --include=*_test.go '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -rhoE '^func Fuzz[A-Za-z0-9_]+' $$p/*_test.go | cut -d' ' -f2); do \
	    echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $${FUZZTIME:-30s} $$p || exit 1; done; done

fmt: bin/tools/gofumpt ## format the Go and web sources
	bin/tools/gofumpt -w $$(git ls-files '*.go')
	cd web && npm run --silent format

needs: ## check for, or as root on Debian install, what the tests use
	@bash test/needs.sh

clean: ## remove what was built
	rm -rf bin web/dist/assets web/dist/index.html bench/results

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-8s %s\n", $$1, $$2}'

.PHONY: geo-db up build compile test e2e check check-format check-go check-web lint gen gen-check bench fuzz fmt needs clean help
