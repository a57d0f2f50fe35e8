# make test   installs what the tests need (as root on Debian or Ubuntu; elsewhere it says what to install), and runs them all.
# make short  runs the root module's tests without servers, and fails if they are slow.
# make newcomer runs what a newcomer runs first: the example, curl, the command.
# make fuzz   runs each fuzz target for 20 s, or for FUZZTIME.
# make lint   runs the linters, pinned in tools/go.mod.
# make cross  compiles for the other systems, and for 32-bit Linux; the tests too.
# make prometheus3 runs the alert rules' unit tests by promtool of Prometheus 3, which it builds.
# make test-next runs the tests that ask servers against those of the next Debian release, in a chroot (root); make test-next-probes runs the probes' alone.
# make kubelet runs the example under a real kubelet (root; it builds one first).
# make bench  measures it all beside the alternatives and the limits, and prints the tables of docs/performance.md, its appendix and the budgets.

MODULES := . _example echov5 promhealth otelhealth grpchealth e2e e2e/recipes bench
# What has no tests of its own, and is linted: the servers that those of e2e/recipes build.
SERVERS := e2e/recipes/servers
# What is built for 32 bits: e2e and bench need a cluster's types and the peers, and run on 64 bits alone.
SMALL := . _example echov5 promhealth otelhealth grpchealth
# The tests that the race detector would spoil: it changes what is allocated and how much a program weighs. A test of
# the root compares this list with the tests that it makes skip.
WITHOUT_RACE := ^(TestAllocations|TestAnswersOfAClosedHealthAreCached|TestBesideTheHealthMiddleware|TestWeight)$$
export ECHOHEALTH_REQUIRE_SERVERS := 1

.PHONY: prometheus3 test setup race gates short fuzz newcomer test-next test-next-probes kubelet lint cross bench

test: setup race gates

setup:
	bash .ci/setup

race:
	@for m in $(MODULES); do echo "== go test -race ($$m)"; (cd $$m && go test -race -timeout 20m ./...) || exit 1; done

gates:
	@echo "== allocations and weight"
	@for m in . echov5 grpchealth; do go test -C $$m -count=1 -run '$(WITHOUT_RACE)' . || exit 1; done
	@go test -C bench -count=1 ./...
	@$(MAKE) --no-print-directory short

# It takes about 10 s, most of it to link the tests. The limit is for a machine that is several times slower.
short: export ECHOHEALTH_REQUIRE_SERVERS :=
short:
	@echo "== go test -short, without servers"
	@go test -short -run '^$$' ./... >/dev/null
	@start=$$(date +%s); go test -short -count=1 ./... || exit 1; took=$$(($$(date +%s) - start)); \
	echo "== go test -short took $$took s"; \
	test $$took -le 120 || { echo "It must take about 10 s: which test starts a server, builds a program or waits for real time?"; exit 1; }

fuzz:
	@bash .ci/fuzz

newcomer:
	@bash .ci/newcomer

test-next:
	@bash .ci/setup next
	@bash .ci/next

test-next-probes:
	@bash .ci/setup next
	@bash .ci/next probes

kubelet:
	@bash .ci/setup kubelet
	@bash e2e/kubelet/run

lint:
	@echo "== gofmt"
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt would change:"; echo "$$unformatted"; exit 1; }
	@echo "== building the linters"
	@go build -C tools -o ../bin/ honnef.co/go/tools/cmd/staticcheck github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@for m in $(MODULES) $(SERVERS); do \
		echo "== go mod tidy, go vet, staticcheck, golangci-lint ($$m)"; \
		(cd $$m && go mod tidy -diff && go vet ./... && $(CURDIR)/bin/staticcheck ./... && $(CURDIR)/bin/golangci-lint run ./...) || exit 1; \
	done

cross:
	@for os in linux darwin windows freebsd; do echo "== go vet for $$os"; CGO_ENABLED=0 GOOS=$$os go vet ./... || exit 1; done
	@for arch in 386 arm; do for m in $(SMALL); do \
		echo "== go vet for linux on $$arch ($$m)"; \
		(cd $$m && CGO_ENABLED=0 GOOS=linux GOARCH=$$arch go vet ./...) || exit 1; \
	done; done

bench:
	go run -C bench .

# Not a part of the tests: it compiles for ten minutes on two cores.
prometheus3:
	go build -C e2e/prometheus3 -o $(CURDIR)/bin/ github.com/prometheus/prometheus/cmd/promtool
	cd deploy/prometheus && $(CURDIR)/bin/promtool check rules --lint=all --lint-fatal rules.yml && $(CURDIR)/bin/promtool test rules rules_test.yml
	cd deploy/prometheus && $(CURDIR)/bin/promtool check config --syntax-only prometheus-kubernetes.yml
