package watch

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
	"github.com/echo-probes/echohealth/healthcheck/internal/outcome"
)

// replicasLimit is the maximum number of replicas that receive requests.
const replicasLimit = 64

// replicas resolves the host names of the origins, the targets that the user gave.
type replicas struct {
	origins   []client.Target
	known     [][]netip.Addr  // known addresses of each origin
	answering map[string]bool // whether an address gave a health answer in the last round
	notAsked  int             // number of replicas above replicasLimit
	resolve   func(ctx context.Context, host string) ([]netip.Addr, error)
}

func newReplicas(origins []client.Target) replicas {
	resolve := func(ctx context.Context, host string) ([]netip.Addr, error) {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	}
	return replicas{origins: origins, known: make([][]netip.Addr, len(origins)), resolve: resolve}
}

// targets looks up the origins and returns one target for each address, at most replicasLimit targets. An
// origin without known addresses is a target itself.
func (r *replicas) targets(ctx context.Context) []client.Target {
	var all []client.Target
	for i, origin := range r.origins {
		r.lookUp(ctx, i)
		if len(r.known[i]) == 0 {
			all = append(all, origin)
		}
		for _, addr := range r.known[i] {
			all = append(all, origin.WithAddress(addr))
		}
	}
	r.notAsked = max(len(all)-replicasLimit, 0)
	return all[:len(all)-r.notAsked]
}

// lookUp updates the known addresses of an origin. If the name server fails, they stay unchanged. An address
// that the name no longer has stays known as long as it gives health answers. A headless Service drops the
// address of a pod that is not ready, and the watch must still show this pod.
func (r *replicas) lookUp(ctx context.Context, i int) {
	origin := r.origins[i]
	if !origin.HasHostName() {
		return
	}
	found, err := r.resolve(ctx, origin.URL.Hostname())
	if err != nil && !isNotFoundName(err) {
		return
	}
	addrs := oneFamily(found)
	for _, addr := range r.known[i] {
		if r.answering[origin.WithAddress(addr).Address] && !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	r.known[i] = addrs
}

// isNotFoundName reports whether a name server answered that the name has no address. A headless Service
// without ready pods has no address.
func isNotFoundName(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}

// store records which addresses gave health answers.
func (r *replicas) store(outcomes []outcome.Outcome) {
	r.answering = map[string]bool{}
	for _, o := range outcomes {
		r.answering[o.Target.Address] = o.Problem == ""
	}
}

// oneFamily returns the IPv4 addresses, or the IPv6 addresses if there is no IPv4 address. With addresses of
// both families, each replica would have two rows.
func oneFamily(found []netip.Addr) []netip.Addr {
	addrs := make([]netip.Addr, len(found))
	for i, addr := range found {
		addrs[i] = addr.Unmap()
	}
	if slices.ContainsFunc(addrs, netip.Addr.Is4) {
		addrs = slices.DeleteFunc(addrs, netip.Addr.Is6)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs)
}

// title returns the URLs of the origins.
func (r *replicas) title() string {
	names := make([]string, len(r.origins))
	for i, origin := range r.origins {
		names[i] = origin.String()
	}
	return strings.Join(names, " ")
}
