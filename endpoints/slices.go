// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package endpoints

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// MaxEndpoints is how many addresses may count. A Service with more is not one of
	// proxies; each of them is compared with the peer of each request.
	MaxEndpoints = 1000

	// maxSlices is how many slices are kept: those of that many endpoints, one in each.
	maxSlices = 2 * MaxEndpoints
)

var (
	errTooManySlices = fmt.Errorf("there are more than %d EndpointSlices", maxSlices)
	errTooMany       = fmt.Errorf("there are more than %d endpoints", MaxEndpoints)
	errOther         = errors.New("a frame of the watch is about a slice that was not asked for")
)

// known are the addresses of all slices, by their names.
type known map[string][]netip.Addr

// keep adds a slice, or replaces it.
func (k known) keep(o *object) error {
	if o.Metadata.Name == "" {
		return errors.New("an EndpointSlice has no name")
	}
	k[o.Metadata.Name] = addressesOf(o)
	if len(k) > maxSlices {
		return errTooManySlices
	}
	return nil
}

// addressesOf are the addresses of one slice, some more than may count at most.
func addressesOf(o *object) []netip.Addr {
	var addrs []netip.Addr
	for i := range o.Endpoints {
		if !o.Endpoints[i].sends() {
			continue
		}
		for _, text := range o.Endpoints[i].Addresses {
			if addr, ok := parseAddr(o.AddressType, text); ok && len(addrs) <= MaxEndpoints {
				addrs = append(addrs, addr)
			}
		}
	}
	return addrs
}

// parseAddr reads an address. One in another form than the slice's type says, such as the name
// of a slice of the type FQDN, is passed over, and so is one that machines share: loopback,
// link-local, multicast. The API server refuses most of these, too.
func parseAddr(kind, text string) (addr netip.Addr, ok bool) {
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" || addr.Is4In6() || !addr.IsGlobalUnicast() {
		return netip.Addr{}, false
	}
	return addr, kind == "IPv4" && addr.Is4() || kind == "IPv6" && addr.Is6()
}

// ranges are the addresses as ranges of one address each, in order; an error if no address may
// count. Slices may share an endpoint while the API server moves it from one to another. The
// addresses of hosts must not be among them: the pods are in the network of their hosts then, and
// so are the kubelet, and all that the host sends under its own address for others (SNAT).
func (k known) ranges(hosts []netip.Addr) ([]netip.Prefix, error) {
	var addrs []netip.Addr
	for _, more := range k {
		addrs = append(addrs, more...)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	addrs = slices.Compact(addrs)
	if len(addrs) > MaxEndpoints {
		return nil, errTooMany
	}
	ranges := make([]netip.Prefix, 0, len(addrs))
	for _, addr := range addrs {
		if slices.Contains(hosts, addr) {
			return nil, fmt.Errorf("an endpoint has the address %s of this pod's own host: its pods are in the network of their hosts", addr)
		}
		ranges = append(ranges, netip.PrefixFrom(addr, addr.BitLen()))
	}
	return ranges, nil
}

// fill replaces all by the slices of a list.
func (k known) fill(l *list) error {
	for i := range l.Items {
		if err := k.keep(&l.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

// change applies a frame that is not a bookmark.
func (k known) change(f *frame, of service) error {
	if f.Object.Metadata.Namespace != of.namespace {
		return fmt.Errorf("%w: %s", errOther, identity.Quote(f.Object.Metadata.Namespace))
	}
	if f.Type == deleted { // its labels may be others now, which is why it is not in the list any more
		delete(k, f.Object.Metadata.Name)
		return nil
	}
	if name := f.Object.Metadata.Labels[serviceLabel]; name != of.name {
		return fmt.Errorf("%w: of the Service %s", errOther, identity.Quote(name))
	}
	return k.keep(&f.Object)
}
