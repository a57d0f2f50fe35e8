# make test              installs the servers and programs that the tests need, and runs all tests. It installs only as
#                        root on Debian or Ubuntu. Elsewhere it prints what to install.
# make short             runs the root module's tests that need no server, and fails if they are slow.
# make newcomer          runs the example, curl and the command, as a new user would.
# make fuzz              runs each fuzz target for 20 s, or for FUZZTIME.
# make lint              runs the linters, whose versions are in tools/go.mod.
# make cross             runs go vet for the other systems, and for 32-bit Linux. That compiles the tests too.
# make prometheus3       builds promtool of Prometheus 3, and runs the unit tests of the alert rules with it.
# make test-next         runs the tests that need servers against the servers of the next Debian release, in a chroot.
#                        It must be run by root.
# make test-next-probes  does the same with the probes' tests only.
# make kubelet           builds a kubelet, and runs the example under it. It must be run by root.
# make bench             measures this package, its alternatives and its limits, and prints the tables of
#                        docs/performance.md, of its appendix and of the budgets.

MODULES := . _example echov5 promhealth otelhealth grpchealth e2e e2e/recipes bench
# A module without tests, which is only linted. The tests in e2e/recipes build its programs.
SERVERS := e2e/recipes/servers
# The modules that are compiled for 32 bits. The dependencies of e2e and bench support only 64 bits.
SMALL := . _example echov5 promhealth otelhealth grpchealth
# The tests that are skipped under the race detector, because it changes the number of allocations and the size of a
# program. A test of the root compares this list with the skipped tests.
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

# This is not a part of "make test", because it compiles for ten minutes on two cores.
prometheus3:
	go build -C e2e/prometheus3 -o $(CURDIR)/bin/ github.com/prometheus/prometheus/cmd/promtool
	cd deploy/prometheus && $(CURDIR)/bin/promtool check rules --lint=all --lint-fatal rules.yml && $(CURDIR)/bin/promtool test rules rules_test.yml
	cd deploy/prometheus && $(CURDIR)/bin/promtool check config --syntax-only prometheus-kubernetes.yml
